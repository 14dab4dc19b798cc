"""PNGs of every depth and kind of channel: the right value at every pixel, whatever else stands in the file."""

import io
import struct
import zlib

import numpy as np
import pytest
from making import chunk, exif, png, scaled
from PIL import Image

from rococap.data.image import BytesImage, UnreadableImage, read

RANDOM = np.random.default_rng(0)
SIZE = (9, 14)
GREY = RANDOM.integers(0, 256, SIZE, dtype=np.uint8)
# Entries of EXIF that Pillow reads but cannot write again, or cannot read.
ODD = [
    (0x0100, 2, 1, b"x\0\0\0"),
    (0x010E, 4, 1, b"abcd"),
    (0x0131, 9, 1, b"\xff" * 4),
    (0x0132, 99, 1, b"\0" * 4),
    (0x8769, 4, 1, b"\xff\xff\xff\x7f"),
    (0x8825, 3, 1, b"\0\1\0\0"),
    (0x9286, 7, 9000, b"\0\0\xff\xff"),
]


def shown(content):
    return np.asarray(read(BytesImage(content, "x.png")))


@pytest.mark.parametrize("top", [300, 4095, 65535])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_sixteen_bits_of_each_channel(channels, top):
    values = RANDOM.integers(0, top + 1, (*SIZE, channels), dtype=np.uint16)
    values[0, 0] = top
    bits = 2 ** top.bit_length() - 1
    right = scaled(values, 0, bits)
    colours = np.broadcast_to(right[..., : 3 if channels > 2 else 1], (*SIZE, 3))
    if channels in (1, 3):
        assert np.array_equal(shown(png(values)), colours)
        return
    assert np.abs(shown(png(values)) - colours * (right[..., -1:] / 255)).max() <= 1
    values[..., -1] = 65535
    assert np.array_equal(shown(png(values)), colours)


def test_interlaced_sixteen_bits():
    """Seven passes, each a small picture of its own."""
    values = RANDOM.integers(0, 4096, (8, 8, 3), dtype=np.uint16)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    lines = b"".join(
        b"\0" + row.astype(">u2").tobytes() for y, x, down, right in passes for row in values[y::down, x::right]
    )
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 1))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    assert np.array_equal(shown(content), scaled(values, 0, 4095))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_one_grey_level_that_is_transparent(depth):
    top = 2**depth - 1
    values = RANDOM.integers(0, top + 1, SIZE)
    values[0, :2] = top, 0
    clear = [chunk(b"tRNS", struct.pack(">H", top))]
    right = np.where(values == top, 0, scaled(values, 0, top))
    assert np.array_equal(shown(png(values, depth, clear))[..., 0], right)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_one_colour_that_is_transparent(depth):
    top = 2**depth - 1
    values = RANDOM.integers(0, top + 1, (*SIZE, 3))
    values[0, 0] = values[1, 1] = top, top // 3, 7
    values[2, 2] = top, top // 3, 8
    content = png(values, depth, [chunk(b"tRNS", struct.pack(">3H", top, top // 3, 7))])
    right = scaled(values, 0, top)
    right[0, 0] = right[1, 1] = 0
    assert np.array_equal(shown(content), right)
    assert right[2, 2, 0] == 255


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_with_any_company(order, depth):
    values = GREY.astype(int) if depth == 8 else GREY.astype(int) * 257
    for more in ([], *([entry] for entry in ODD), ODD):
        content = png(values, depth, [chunk(b"eXIf", exif(6, order, more))])
        assert np.array_equal(shown(content)[..., 0], np.rot90(GREY, -1)), more


def profile(data):
    """EXIF data as ImageMagick writes it into a text."""
    return b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(data):8}\n{data.hex()}\n".encode())


def test_which_way_is_up_by_a_text():
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<rdf:Description tiff:Orientation="6"/>'
    for turning in (chunk(b"zTXt", profile(b"Exif\0\0" + exif(6))), chunk(b"iTXt", xmp)):
        for place in ("before", "after"):
            assert np.array_equal(shown(png(GREY, 8, **{place: [turning]}))[..., 0], np.rot90(GREY, -1)), place


def broken(kind, data):
    return chunk(kind, data)[:-4] + b"oops"


JUNK = {
    "no EXIF": chunk(b"eXIf", b"junk"),
    "half an EXIF": chunk(b"eXIf", exif(6)[:9]),
    "empty EXIF": chunk(b"eXIf", b""),
    "EXIF with a wrong checksum": broken(b"eXIf", exif(6)),
    "large text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 5_000_000)),
    "large international text": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"\0" * 5_000_000)),
    "large EXIF as text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\0" * 5_000_000)),
    "no EXIF as text": chunk(b"tEXt", b"Raw profile type exif\0zzzz"),
    "text with a wrong checksum": broken(b"tEXt", b"Comment\0x"),
    "large profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"\0" * 5_000_000)),
    "no profile": chunk(b"iCCP", b"icc\0\0junk"),
    "empty profile": chunk(b"iCCP", b""),
    "no size": chunk(b"pHYs", b"1"),
    "no gamma": chunk(b"gAMA", b""),
    "no colours": chunk(b"cHRM", b"1"),
    "no rendering": chunk(b"sRGB", b""),
    "no animation": chunk(b"acTL", b""),
    "unknown": chunk(b"zzZz", b"\xff" * 9),
}


@pytest.mark.parametrize("what", JUNK)
@pytest.mark.parametrize("depth", [8, 16])
def test_junk_loses_no_pixels(depth, what):
    values = GREY if depth == 8 else GREY.astype(int) * 257
    for place in ("before", "after"):
        assert np.array_equal(shown(png(values, depth, **{place: [JUNK[what]]}))[..., 0], GREY), place


def test_many_texts_lose_no_pixels():
    """Each of a size that is read, all of them of one that is not."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 1_000_000))
    assert np.array_equal(shown(png(GREY, 8, [text] * 70))[..., 0], GREY)


def test_what_makes_pixels_must_be_whole():
    whole = png(GREY, 8)
    for content in (whole[: len(whole) // 2], whole[:30], whole.replace(b"IDAT", b"IDAX"), whole[:45] + whole[49:]):
        with pytest.raises(UnreadableImage):
            shown(content)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("more", [[], *([entry] for entry in ODD), ODD], ids=str)
def test_other_files_are_turned_with_any_company_too(kind, more):
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(GREY, 16, 0), 16, 1)).save(buffer, kind)
    plain = shown(buffer.getvalue())
    for data, right in ((exif(6, more=more), np.rot90(plain, -1)), (b"junk", plain), (exif(6)[:9], plain)):
        Image.open(io.BytesIO(buffer.getvalue())).save(
            changed := io.BytesIO(), kind, exif=b"Exif\0\0" + data, quality=95
        )
        result = shown(changed.getvalue()).astype(int)
        assert result.shape == right.shape
        assert np.abs(result - right).mean() < 12
