"""A picture is the same wherever it lies and whatever its file is called."""

import io
import zipfile

import numpy as np
import pytest
from making import chunk, exif, png, tiff
from PIL import Image

from rococap.data.image import BytesImage, FileImage, UnreadableImage, ZipImage, read

RANDOM = np.random.default_rng(0)
SIZE = (9, 14)
EIGHT = RANDOM.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 4096, (*SIZE, 3), dtype=np.uint16)


def by_pillow(kind, mode="RGB", **options):
    image = Image.fromarray(EIGHT).convert(mode)
    data = Image.Exif()
    data[0x0112] = 6
    image.save(file := io.BytesIO(), kind, **({"exif": data} | options if kind in ("JPEG", "WEBP", "PNG") else options))
    return file.getvalue()


FILES = {
    "bmp": by_pillow("BMP"),
    "gif": by_pillow("GIF", "P"),
    "jpg": by_pillow("JPEG"),
    "cmyk.jpg": by_pillow("JPEG", "CMYK"),
    "palette.png": by_pillow("PNG", "P"),
    "webp": by_pillow("WEBP", lossless=True),
    "packed.tif": by_pillow("TIFF", compression="tiff_lzw", tiffinfo={274: 6}),
    "lab.tif": by_pillow("TIFF", "LAB"),
    "deep.png": png(DEEP, before=[chunk(b"eXIf", exif(6))]),
    **{
        f"{turn}{order == '<'}{values.dtype}{values.ndim}{packed}.tiff": tiff(
            values, order, packed=packed, tags={274: [turn]}
        )
        for turn in (1, 5, 6, 7, 8)
        for order in "<>"
        for packed in (False, True)
        for values in (EIGHT, DEEP, DEEP[..., 0], DEEP[..., 0].astype(np.float32))
    },
}


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_equal_pixels_in_a_folder_a_zip_and_memory(packing, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", packing) as archive:
        for name, content in FILES.items():
            (tmp_path / name).write_bytes(content)
            archive.writestr(f"train/{name}", content)
    for name, content in FILES.items():
        (tmp_path / f"{name}.jpeg").write_bytes(content)  # as another kind
        right = read(FileImage(tmp_path / name))
        other = [ZipImage(tmp_path / "x.zip", f"train/{name}"), BytesImage(content, name)]
        for image in (*other, FileImage(tmp_path / f"{name}.jpeg")):
            assert (read(image).size, read(image).tobytes()) == (right.size, right.tobytes()), name


@pytest.mark.parametrize("kind", ["PPM", "JPEG2000", "SGI"])
def test_kinds_whose_deep_values_would_be_cut_are_refused(kind):
    Image.fromarray(EIGHT).save(file := io.BytesIO(), kind)
    with pytest.raises(UnreadableImage, match=f"x: .*kind {kind} is not read: convert it to PNG"):
        read(BytesImage(file.getvalue(), "x"))


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(("webp", ".tiff", "packed.tif"))])
def test_the_pixels_are_those_that_were_written(name):
    turn = 1 if name.startswith("1") else int(name[0]) if name[0].isdigit() else 6
    result = np.asarray(read(BytesImage(FILES[name], name)))
    upright = {1: EIGHT, 5: np.swapaxes(EIGHT, 0, 1), 6: np.rot90(EIGHT, -1), 8: np.rot90(EIGHT)}
    upright[7] = np.swapaxes(EIGHT[::-1, ::-1], 0, 1)
    if "uint8" in name or not name[0].isdigit():
        assert np.array_equal(result, upright[turn])
    assert result.shape[:2] == upright[turn].shape[:2]
