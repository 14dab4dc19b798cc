"""Values that leave a few grey levels, and values that are no numbers: shown, and said to be shown so."""

import io

import numpy as np
import pytest
from making import png, scaled, tiff
from PIL import Image

from rococap.data.image import BytesImage, UnreadableImage, read
from rococap.data.pictures.decode import decode, show

RANDOM = np.random.default_rng(0)
# A slice of CT in Hounsfield units, each value as often as any other: the percentiles are known.
CT = RANDOM.permutation(np.repeat(np.arange(-1024, 3072), 4)).reshape(128, 128)
WINDOWED = scaled(CT, -1024 + 20, 3071 - 20)  # without half a percent of the pixels at either end


def shown(content):
    return np.asarray(read(BytesImage(content, "x")))[..., 0]


def windowed(content):
    return show(decode(content)).windowed


def with_pixels(values, **at):
    """The same with some other values: `first=9` sets the first pixel to 9."""
    changed = values.copy()
    for place, value in at.items():
        changed[{"first": (0, 0), "second": (0, 1), "rows": slice(0, 8)}[place]] = value
    return changed


def off(result, right):
    """How far from right the worst of all pixels is, but for the first eight rows, where markers are."""
    return int(np.abs(result.astype(int) - right)[8:].max())


FAULTS = {
    "an offset": (CT + 32768).astype(np.uint16),
    "signed values written as unsigned": CT.astype(np.int16).view(np.uint16),
    "signed and padded by the least value": with_pixels(CT.astype(np.int16), rows=-32768).view(np.uint16),
    "an offset, and padded by 0": with_pixels((CT + 32768).astype(np.uint16), rows=0),
    "an offset and a marker": with_pixels((CT + 32768).astype(np.uint16), first=65535),
    "a marker": with_pixels((CT + 1024).astype(np.uint16), first=65535),
    "a marker of many pixels": with_pixels((CT + 1024).astype(np.uint16), rows=65535),
    "two markers": with_pixels((CT + 1024).astype(np.uint16), first=65535, second=40000),
    "int32 with a marker": with_pixels(CT.astype(np.int32), first=2**31 - 1),
    "int32 padded by the least value": with_pixels(CT.astype(np.int32), rows=-(2**31)),
    "uint32 with signed values": CT.astype(np.int32).view(np.uint32),
    "a float with a marker": with_pixels(CT.astype(np.float32), first=3e38),
    "a float padded by the least value": with_pixels(CT.astype(np.float32), rows=-3.4028235e38),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_few_levels_are_windowed_and_said(fault, order):
    content = tiff(FAULTS[fault], order)
    assert windowed(content)
    assert off(shown(content), WINDOWED) <= 3


@pytest.mark.parametrize("fault", [name for name, values in FAULTS.items() if values.dtype == np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_likewise(fault, channels):
    values = np.stack([FAULTS[fault]] * channels, axis=2)
    if channels in (2, 4):
        values[..., -1] = 65535
    assert windowed(png(values))
    assert off(shown(png(values)), WINDOWED) <= 3


@pytest.mark.parametrize("photometric", [0, 1])
def test_a_marker_is_the_end_that_it_lies_at(photometric):
    marked = with_pixels((CT + 1024).astype(np.uint16), first=65535)
    padded = with_pixels((CT + 32768).astype(np.uint16), first=0)
    signed = with_pixels(CT.astype(np.int16), first=-32768).view(np.uint16)
    assert shown(tiff(marked, photometric=photometric))[0, 0] == (255 if photometric else 0)
    assert shown(tiff(padded, photometric=photometric))[0, 0] == (0 if photometric else 255)
    assert shown(tiff(signed, photometric=photometric))[0, 0] == (0 if photometric else 255)


RIGHT = {
    "a whole range": RANDOM.integers(0, 65536, (32, 32), dtype=np.uint16),
    "12 bits": RANDOM.integers(0, 4096, (32, 32), dtype=np.uint16),
    "8 bits in 16": RANDOM.integers(0, 256, (32, 32), dtype=np.uint16),
    "little contrast": RANDOM.integers(1500, 2500, (32, 32), dtype=np.uint16),
    "labels": RANDOM.integers(0, 9, (32, 32), dtype=np.uint16),
    "labels far apart": RANDOM.choice(np.uint16([0, 1, 2, 65535]), (32, 32)),
    "black and white": RANDOM.choice(np.uint16([0, 65535]), (32, 32)),
    "a mask of floats": RANDOM.choice(np.float32([0, 1]), (32, 32)),
    "one value": np.full((32, 32), 900, np.uint16),
    "a dark picture": RANDOM.integers(0, 600, (32, 32), dtype=np.uint16),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_what_has_its_levels_stays_as_it_is(kind):
    values = RIGHT[kind]
    top = float(values.max()) if values.dtype.kind == "f" else 2 ** max(8, int(values.max()).bit_length()) - 1
    assert not windowed(tiff(values))
    assert np.array_equal(shown(tiff(values)), scaled(values, 0, top))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_what_is_no_number_squeezes_nothing(kind, odd, order):
    values = RANDOM.normal(50, 3, (20, 20)).astype(kind)
    right = scaled(values[1:], float(values[1:].min()), float(values[1:].max()))
    values[0] = odd
    result = shown(tiff(values, order))
    assert np.array_equal(result[1:], right)
    assert set(result[0]) == {255 if odd == np.inf else 0}
    inverted = shown(tiff(values, order, photometric=0))
    assert np.array_equal(inverted[1:], 255 - right) and set(inverted[0]) == {255 if odd == -np.inf else 0}
    values[0, 0] = np.nan
    values[0, 1] = -odd
    assert np.array_equal(shown(tiff(values, order))[1:], right)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_no_number_at_all_is_refused(odd):
    with pytest.raises(UnreadableImage, match="none of its values is a finite number"):
        shown(tiff(np.full((4, 4), odd, np.float32)))


def test_pillows_own_deep_images_are_shown_alike():
    """What has no bytes: drawn images, or those of other readers."""
    for fault, values in FAULTS.items():
        if values.dtype in (np.uint16, np.int32, np.float32):
            result = show(Image.fromarray(values))
            assert result.windowed and off(np.asarray(result.pixels)[..., 0], WINDOWED) <= 3, fault


def test_eight_bits_are_never_windowed():
    dark = RANDOM.integers(0, 16, (32, 32), dtype=np.uint8)
    dark[0, 0] = 255
    Image.fromarray(dark).save(file := io.BytesIO(), "PNG")
    for content in (file.getvalue(), tiff(dark), png(dark, 8)):
        assert not windowed(content)
        assert np.array_equal(shown(content), dark)
