"""Every mode, and every way in which a file can be broken."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rococap.data import image as images
from rococap.data.image import BytesImage, FileImage, UnreadableImage, ZipImage, read, to_rgb


def mean_after_read(lazy) -> float:
    return float(np.asarray(read(lazy)).mean())


def gray(image: Image.Image) -> np.ndarray:
    array = np.asarray(to_rgb(image))
    assert array.shape[2] == 3
    return array[:, :, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "HSV", "YCbCr"])
def test_every_mode_keeps_black_and_white(mode):
    values = np.zeros((4, 8), dtype=np.uint8)
    values[:, 4:] = 255
    source = Image.fromarray(values)
    image = (
        Image.fromarray(values.astype(np.uint16) * 257)
        if mode == "I;16"
        else source.convert("RGB" if mode in ("HSV", "YCbCr", "CMYK") else "L").convert(mode)
    )
    assert image.mode == mode
    assert np.abs(gray(image).astype(int) - values).max() <= 1


def test_alpha_lies_on_black():
    for image in (Image.new("RGBA", (2, 2), (255, 255, 255, 0)), Image.new("LA", (2, 2), (255, 0))):
        assert gray(image).max() == 0
    assert abs(int(gray(Image.new("LA", (2, 2), (200, 128)))[0, 0]) - 100) <= 1


def test_palette_with_transparency_lies_on_black():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 255, 255, 90, 90, 90])
    image.putdata([0, 1])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    assert gray(Image.open(buffer)).tolist() == [[0, 90]]


@pytest.mark.parametrize(("top", "expected"), [(255, 255), (4095, 255), (65535, 255), (3000, 187), (100, 100)])
def test_sixteen_bits_are_scaled_to_the_bits_in_use(top, expected, tmp_path):
    values = np.array([[0, top // 2, top]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    result = np.asarray(read(FileImage(tmp_path / "x.png")))[0, :, 0]
    assert result[0] == 0
    assert abs(int(result[1]) * 2 - expected) <= 2
    assert result[2] == expected


def test_signed_and_float_values(tmp_path):
    assert gray(Image.fromarray(np.array([[-1000, 0, 3095]], dtype=np.int32))).tolist() == [[0, 62, 255]]
    assert gray(Image.fromarray(np.array([[0, 0.5, 1]], dtype=np.float32))).tolist() == [[0, 128, 255]]
    assert gray(Image.fromarray(np.array([[np.nan, 1]], dtype=np.float32))).tolist() == [[0, 255]]
    assert gray(Image.new("I", (2, 1), 0)).max() == 0


def test_first_frame(tmp_path):
    frames = [Image.new("L", (3, 3), value) for value in (40, 200)]
    for name in ("x.gif", "x.tiff"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        image = Image.open(tmp_path / name)
        image.seek(1)
        assert gray(image).max() == 40


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_exif_orientation(mode, tmp_path):
    values = np.zeros((4, 6), dtype=np.uint16)
    values[0, 0] = 65535
    image = Image.fromarray(values if mode == "I;16" else (values // 257).astype(np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the stored image is the right of the shown one
    image.save(tmp_path / "x.png", exif=exif)
    result = np.asarray(read(FileImage(tmp_path / "x.png")))
    assert result.shape == (6, 4, 3)
    assert result[0, 3, 0] == 255


def test_an_uncompressed_tiff_is_turned_as_it_is_from_memory(tmp_path):
    """Opened by its name, Pillow 13 maps it into memory with its sides exchanged."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8))
    image.save(tmp_path / "x.tif", tiffinfo={274: 6})
    result = np.asarray(read(FileImage(tmp_path / "x.tif")))[..., 0]
    assert np.array_equal(result, np.rot90(np.asarray(image), -1))


def broken_files(folder: Path) -> list[Path]:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    contents = {
        "empty.jpg": b"",
        "truncated.jpg": buffer.getvalue()[: len(buffer.getvalue()) // 2],
        "text.jpg": b"<html>404 not found</html>",
        "header.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents] + [folder / "missing.jpg"]


def test_unreadable_files_are_named(tmp_path):
    for path in broken_files(tmp_path):
        with pytest.raises(UnreadableImage, match=path.name):
            read(FileImage(path))


def test_unreadable_members_are_named(tmp_path):
    archive = tmp_path / "x.zip"
    files = [path for path in broken_files(tmp_path) if path.exists()]
    with zipfile.ZipFile(archive, "w") as packed:
        for path in files:
            packed.write(path, f"train/{path.name}")
    for member in [*(f"train/{path.name}" for path in files), "train/missing.jpg"]:
        with pytest.raises(UnreadableImage, match=member):
            read(ZipImage(archive, member))


def test_bombs_are_refused(monkeypatch, tmp_path):
    Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadableImage, match="limit"):
        read(FileImage(tmp_path / "bomb.png"))
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.jpg", b"\0" * 100_000)
    monkeypatch.setattr(images, "MAX_BYTES", 50_000)
    with pytest.raises(UnreadableImage, match="limit"):
        read(ZipImage(tmp_path / "x.zip", "bomb.jpg"))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_zip_members_are_read_by_several_processes_at_once(method, tmp_path):
    members = [ZipImage(tmp_path / "x.zip", f"train/{value}.png") for value in range(60)]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for value, member in enumerate(members):
            buffer = io.BytesIO()
            Image.new("L", (30, 30), value).save(buffer, "PNG")
            packed.writestr(member.member, buffer.getvalue())
    assert mean_after_read(members[0]) == 0  # the parent holds the archive open when it forks
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(mean_after_read, members, chunksize=1) == [float(value) for value in range(60)]


def test_lazy_images_travel_and_name_themselves():
    lazy = BytesImage(b"nothing", "row 7 of x.parquet")
    assert pickle.loads(pickle.dumps(lazy)) == lazy
    with pytest.raises(UnreadableImage, match="row 7"):
        read(lazy)
