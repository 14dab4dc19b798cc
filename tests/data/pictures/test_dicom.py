"""DICOM files of each kind, made here: the right grey levels at every pixel, and no word of what else they say."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from made_dicom import dataset, item, written
from making import scaled
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from rococap.data.image import BytesImage, FileImage, ZipImage, read
from rococap.data.pictures.decode import decode, show
from rococap.data.pictures.dicom import USUAL, View

RANDOM = np.random.default_rng(0)
SIZE = (9, 14)


def shown(made, view=USUAL, **how):
    content = made if isinstance(made, bytes) else written(made, **how)
    return np.asarray(show(decode(content, view)).pixels)


def grey(made, **how):
    pixels = shown(made, **how)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


STORED = RANDOM.integers(0, 4096, SIZE, dtype=np.uint16)
WINDOW = dict(WindowCenter=40, WindowWidth=400)
HOUNSFIELD = dict(RescaleSlope=1, RescaleIntercept=-1024)


def linear(real, center, width):
    """After PS3.3 C.11.2.1.2.1, word by word."""
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    inside = ((real - (center - 0.5)) / (width - 1) + 0.5) * 255
    return np.rint(np.where(real <= low, 0, np.where(real > high, 255, inside)))


SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_rescaled_and_windowed(photometric, syntax):
    right = linear(STORED - 1024.0, 40, 400)
    made = dataset(STORED, 12, **HOUNSFIELD, **WINDOW, PhotometricInterpretation=photometric)
    assert np.array_equal(grey(made, syntax=syntax), 255 - right if photometric == "MONOCHROME1" else right)


def test_big_endian():
    made = dataset(STORED.astype(">u2"), 12, **HOUNSFIELD, **WINDOW)
    made.PixelRepresentation = 0
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, "1.2.3"
    pydicom.dcmwrite(file := io.BytesIO(), made, little_endian=False, implicit_vr=False, enforce_file_format=True)
    assert np.array_equal(grey(file.getvalue()), linear(STORED - 1024.0, 40, 400))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed(syntax):
    values = RANDOM.integers(0, 4096, (64, 64), dtype=np.uint16)
    made = dataset(values, 12, **HOUNSFIELD, **WINDOW)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.compress(syntax)
    assert np.array_equal(grey(made, syntax=syntax), linear(values - 1024.0, 40, 400))


@pytest.mark.parametrize(
    ("tags", "right"),
    [
        (dict(WindowCenter=[40, 900], WindowWidth=[400, 80]), linear(STORED - 1024.0, 40, 400)),
        (dict(WindowCenter=40, WindowWidth=1), np.where(STORED - 1024.0 > 39.5, 255, 0)),
        (
            dict(WindowCenter=40, WindowWidth=400, VOILUTFunction="LINEAR_EXACT"),
            scaled(STORED - 1024.0, -160, 240),
        ),
        (
            dict(WindowCenter=40, WindowWidth=400, VOILUTFunction="SIGMOID"),
            np.rint(255 / (1 + np.exp(-4 * (STORED - 1064.0) / 400))),
        ),
    ],
    ids=["the first of two", "a threshold", "exact", "sigmoid"],
)
def test_windows(tags, right):
    assert np.array_equal(grey(dataset(STORED, 12, **HOUNSFIELD, **tags)), right)


@pytest.mark.parametrize("wrong", [dict(), dict(WindowCenter=40, WindowWidth=0), dict(WindowCenter=40)])
def test_without_a_window_percentiles_and_said(wrong):
    values = RANDOM.permutation(np.arange(8000)).reshape(80, 100).astype(np.uint16)
    result = show(decode(written(dataset(values, 16, **HOUNSFIELD, **wrong))))
    assert result.windowed
    assert np.abs(np.asarray(result.pixels)[..., 0].astype(int) - scaled(values, 40, 7959)).max() <= 1
    assert not show(decode(written(dataset(values, 16, **HOUNSFIELD, **WINDOW)))).windowed


@pytest.mark.parametrize("signed", [False, True])
def test_eight_bits_are_shown_as_they_are(signed):
    values = RANDOM.integers(0, 200, SIZE, dtype=np.uint8)
    made = dataset((values.astype(int) - 128).astype(np.int8) if signed else values)
    assert np.array_equal(grey(made), values)
    assert not show(decode(written(made))).windowed


def test_a_table_goes_before_a_window():
    table = np.uint16(65535 - np.arange(1000) * 60)
    lut = item(LUTDescriptor=[1000, 500, 16], LUTData=table.tolist())
    lut["LUTData"].VR, lut["LUTDescriptor"].VR = "US", "US"
    made = dataset(STORED, 12, **WINDOW, VOILUTSequence=Sequence([lut]))
    right = scaled(table[np.clip(STORED.astype(int) - 500, 0, 999)], 0, 65535)
    assert np.array_equal(grey(made), right)


def test_a_modality_table_goes_before_the_window():
    lut = item(LUTDescriptor=[4096, 0, 16], LUTData=(np.arange(4096) * 2).tolist(), ModalityLUTType="HU")
    lut["LUTData"].VR, lut["LUTDescriptor"].VR = "US", "US"
    made = dataset(STORED, 12, WindowCenter=4000, WindowWidth=3000, ModalityLUTSequence=Sequence([lut]))
    assert np.array_equal(grey(made), linear(STORED * 2.0, 4000, 3000))


def test_signed_values_in_twelve_bits_beside_an_overlay():
    """The four bits above the stored ones belong to something else."""
    real = STORED.astype(int) - 2048
    stored = (real & 0xFFF | RANDOM.integers(0, 16, SIZE) << 12).astype(np.uint16)
    made = dataset(stored, 12, **WINDOW, PixelRepresentation=1)
    assert np.array_equal(grey(made), linear(real.astype(float), 40, 400))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_no_part_of_the_picture(photometric):
    values = RANDOM.permutation(np.arange(8000)).reshape(80, 100).astype(np.int16)
    padded = values.copy()
    padded[:20] = -2000
    made = dataset(padded, 16, **HOUNSFIELD, PhotometricInterpretation=photometric)
    made.add_new("PixelPaddingValue", "SS", -2000)
    right = scaled(values[20:], *np.quantile(values[20:], (0.005, 0.995)))
    result = grey(made)
    assert np.abs(result[20:].astype(int) - (right if photometric == "MONOCHROME2" else 255 - right)).max() <= 1
    assert result[:20].max() == 0


@pytest.mark.parametrize("frame", ["first", "middle"])
def test_the_first_or_the_middle_frame(frame):
    values = RANDOM.integers(0, 256, (5, *SIZE), dtype=np.uint8)
    assert np.array_equal(grey(dataset(values, frames=5), view=View(frame)), values[0 if frame == "first" else 2])


def test_each_frame_has_its_own_window():
    values = np.stack([STORED] * 3)
    groups = [
        item(
            PixelValueTransformationSequence=Sequence([item(RescaleSlope=slope, RescaleIntercept=0, RescaleType="US")]),
            FrameVOILUTSequence=Sequence([item(WindowCenter=center, WindowWidth=300)]),
        )
        for slope, center in ((1, 1000), (2, 2000), (3, 3000))
    ]
    made = dataset(values, 12, frames=3, PerFrameFunctionalGroupsSequence=Sequence(groups))
    assert np.array_equal(grey(made), linear(STORED * 1.0, 1000, 300))
    assert np.array_equal(grey(made, view=View("middle")), linear(STORED * 2.0, 2000, 300))
    shared = dataset(values, 12, frames=3, SharedFunctionalGroupsSequence=Sequence(groups[2:]))
    assert np.array_equal(grey(shared, view=View("middle")), linear(STORED * 3.0, 3000, 300))


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_colours(bits, planar):
    values = RANDOM.integers(0, 2**bits, (*SIZE, 3)).astype(np.uint8 if bits == 8 else np.uint16)
    made = dataset(values, bits, colours=3, PlanarConfiguration=planar)
    if planar:
        made.PixelData = np.ascontiguousarray(np.moveaxis(values, 2, 0)).tobytes()
    assert np.array_equal(shown(made), scaled(values, 0, 2**bits - 1))


@pytest.mark.parametrize("coarse", [False, True])
def test_brightness_and_colour(coarse):
    y, cb, cr = (RANDOM.integers(60, 190, (8, 14)).astype(float) for _ in range(3))
    cb, cr = (np.repeat(each[:, ::2], 2, axis=1) if coarse else each for each in (cb, cr))
    right = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)]
    stored = np.stack([y, cb, cr], axis=2).astype(np.uint8)
    made = dataset(stored, colours=3, PhotometricInterpretation="YBR_FULL_422" if coarse else "YBR_FULL")
    if coarse:
        made.PixelData = np.stack([y[:, ::2], y[:, 1::2], cb[:, ::2], cr[:, ::2]], axis=2).astype(np.uint8).tobytes()
    assert np.abs(shown(made).astype(float) - np.clip(np.stack(right, axis=2), 0, 255)).max() <= 1


@pytest.mark.parametrize("deep", [False, True])
def test_palettes(deep):
    table = RANDOM.integers(0, 256, (3, 256))
    numbers = RANDOM.integers(0, 256, SIZE, dtype=np.uint8)
    made = dataset(numbers, PhotometricInterpretation="PALETTE COLOR")
    for name, colours in zip(("Red", "Green", "Blue"), table, strict=True):
        entries = (colours * 257).astype("<u2") if deep else colours.astype(np.uint8)
        made.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16 if deep else 8])
        made.add_new(f"{name}PaletteColorLookupTableData", "OW", entries.tobytes())
    assert np.array_equal(shown(made), table.T[numbers])


def test_floats():
    made = dataset(STORED, WindowCenter=0.25, WindowWidth=0.5, VOILUTFunction="LINEAR_EXACT")
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    values = RANDOM.random(SIZE, dtype=np.float32)
    made.BitsAllocated, made.FloatPixelData = 32, values.tobytes()
    assert np.array_equal(grey(made), scaled(values, 0, 0.5))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_without_a_preamble(syntax):
    content = written(dataset(STORED, 12, **HOUNSFIELD, **WINDOW), syntax, preamble=False)
    assert content[:2] == b"\x08\0"
    assert np.array_equal(grey(content), linear(STORED - 1024.0, 40, 400))


def test_equal_pixels_in_a_folder_a_zip_and_memory(tmp_path):
    content = written(dataset(STORED, 12, **HOUNSFIELD, **WINDOW))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("train/IM0001", content)
    for name in ("x.dcm", "IM0001", "x.jpg"):
        (tmp_path / name).write_bytes(content)
    images = [FileImage(tmp_path / name) for name in ("x.dcm", "IM0001", "x.jpg")]
    images += [ZipImage(tmp_path / "x.zip", "train/IM0001"), BytesImage(content, "x")]
    for image in images:
        assert np.array_equal(np.asarray(read(image))[..., 0], linear(STORED - 1024.0, 40, 400))


EXAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.parametrize(
    ("compressed", "plain", "most"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm", 0),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm", 0),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm", 0),
        ("MR_small_bigendian.dcm", "MR_small.dcm", 0),
        ("MR_small_implicit.dcm", "MR_small.dcm", 0),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_gdcm_KY.dcm", 0),
        ("SC_rgb_rle_16bit.dcm", "SC_rgb_rle.dcm", 0),
        ("SC_rgb_rle_32bit.dcm", "SC_rgb_rle.dcm", 0),
        ("SC_rgb_small_odd_jpeg.dcm", "SC_rgb_small_odd.dcm", 12),
    ],
)
def test_other_peoples_files(compressed, plain, most):
    if not (EXAMPLES / plain).is_file():
        pytest.skip("this pydicom comes without its examples")
    first, second = (shown((EXAMPLES / name).read_bytes()).astype(int) for name in (compressed, plain))
    assert first.shape == second.shape
    assert np.abs(first - second).max() <= most
