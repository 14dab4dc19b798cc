"""TIFFs of every byte order, sign, width and photometry: the right grey level at every pixel, or a refusal."""

import numpy as np
import pytest
from making import scaled, tiff

from rococap.data.image import BytesImage, UnreadableImage, read

RANDOM = np.random.default_rng(0)
SIZE = (9, 14)
KINDS = {
    "uint16": (RANDOM.integers(0, 65536, SIZE, dtype=np.uint16), 0, 65535),
    "12 bits in uint16": (RANDOM.integers(0, 4096, SIZE, dtype=np.uint16), 0, 4095),
    "int16": (RANDOM.integers(-1000, 3000, SIZE).astype(np.int16), None, None),
    "uint32": (RANDOM.integers(0, 2**32, SIZE, dtype=np.uint32), 0, 2**32 - 1),
    "int32": (RANDOM.integers(-(2**31), 2**31, SIZE, dtype=np.int32), None, None),
    "int8": (RANDOM.integers(-128, 128, SIZE, dtype=np.int8), None, None),
    "float32": (RANDOM.normal(0, 3, SIZE).astype(np.float32), None, None),
    "float16": (RANDOM.normal(0, 3, SIZE).astype(np.float16), None, None),
    "uint8": (RANDOM.integers(0, 256, SIZE, dtype=np.uint8), 0, 255),
}


def shown(content):
    return np.asarray(read(BytesImage(content, "x.tif")))


def ends(values, low, high):
    """Of floats the least and the greatest value; of whole numbers as many bits as they fill."""
    if low is not None:
        return low, high
    if values.dtype.kind == "f":
        return float(values.min()), float(values.max())
    low = int(values.min())
    return low, low + 2 ** (int(values.max()) - low).bit_length() - 1


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("photometric", [0, 1], ids=["white is zero", "black is zero"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("kind", KINDS)
def test_grey(kind, order, photometric, packed):
    values, *known = KINDS[kind]
    right = scaled(values, *ends(values, *known))
    right = right if photometric else 255 - right
    result = shown(tiff(values, order, photometric, packed))
    assert np.array_equal(result, np.stack([right] * 3, axis=2))


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_tiles(kind, order, packed):
    low, high = (-1000, 3095) if kind in (np.int16, np.int32) else (0, 255)
    values = RANDOM.integers(low, high + 1, (40, 55)).astype(kind)
    values[0, :2] = low, high
    assert np.array_equal(shown(tiff(values, order, packed=packed, tile=16))[..., 0], scaled(values, low, high))
    colours = RANDOM.integers(0, 4096, (40, 55, 3), dtype=np.uint16)
    assert np.array_equal(shown(tiff(colours, order, packed=packed, tile=16)), scaled(colours, 0, 4095))


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.uint32])
def test_differences_of_neighbours(kind, order):
    """As most programs pack them."""
    values = RANDOM.integers(0, 4096, SIZE).astype(kind)
    values[0, :2] = 0, 4095
    differences = values.copy()
    differences[:, 1:] -= values[:, :-1]
    assert np.array_equal(
        shown(tiff(differences, order, packed=True, tags={317: [2]}))[..., 0], scaled(values, 0, 4095)
    )


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("photometric", [0, 1], ids=["white is zero", "black is zero"])
def test_twelve_bits_packed(order, photometric):
    values = RANDOM.integers(0, 4096, (6, 10))
    high, low = values[:, 0::2], values[:, 1::2]
    packed = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], axis=2).reshape(6, 15).astype(np.uint8)
    content = tiff(packed, order, photometric, tags={256: [10], 258: [12]})
    right = scaled(values, 0, 4095)
    assert np.array_equal(shown(content)[..., 0], right if photometric else 255 - right)


@pytest.mark.parametrize("values", [np.float64([[0, 1]]), np.uint64([[0, 1]]), np.complex64([[0, 1]]).view(np.float64)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_others_are_refused_with_the_reason(values, order):
    with pytest.raises(UnreadableImage, match=r"x\.tif: .*64-bit values of format \d, photometry 1"):
        shown(tiff(values, order))


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("top", [4095, 65535])
def test_sixteen_bits_of_colour(top, order, packed):
    values = RANDOM.integers(0, top + 1, (*SIZE, 4), dtype=np.uint16)
    rgb = scaled(values[..., :3], 0, top)
    assert np.array_equal(shown(tiff(values[..., :3], order, packed=packed)), rgb)
    for unused in (0, 1):  # a fourth channel of no meaning, and one that the colours were multiplied by
        assert np.array_equal(shown(tiff(values, order, packed=packed, tags={338: [unused]})), rgb)
    layered = shown(tiff(values, order, packed=packed, tags={338: [2]}))
    assert np.abs(layered - rgb * (scaled(values[..., 3:], 0, top) / 255)).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_channels_one_after_another(order):
    for top, kind in ((255, np.uint8), (4095, np.uint16), (65535, np.uint16)):
        values = RANDOM.integers(0, top + 1, (*SIZE, 3)).astype(kind)
        assert np.array_equal(shown(tiff(values, order, apart=True)), scaled(values, 0, top))
    assert np.array_equal(shown(tiff(values // 257 * 257, order, apart=True)), values // 257)
    eight = (values >> 8).astype(np.uint8)
    assert np.array_equal(shown(tiff(eight, order, apart=True, packed=True)), eight)
    for refused in (tiff(values, order, apart=True, packed=True), tiff(values, order, 5, apart=True)):
        with pytest.raises(UnreadableImage):
            shown(refused)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "deflate"])
def test_inks(order, packed):
    inks = RANDOM.integers(0, 256, (*SIZE, 4), dtype=np.uint8)
    light = 255 - inks.astype(int)
    right = light[..., :3] * light[..., 3:] / 255
    for values in (inks, inks.astype(np.uint16) * 257, inks.astype(np.uint16) * 16 + inks // 16):
        assert np.abs(shown(tiff(values, order, 5, packed)) - right).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("scale", [257, 256, 1])
def test_palettes_of_16_bits_and_of_8(scale, order):
    colours = RANDOM.integers(0, 256, (3, 256))
    numbers = RANDOM.integers(0, 256, SIZE, dtype=np.uint8)
    content = tiff(numbers, order, 3, tags={320: (colours * scale).ravel().tolist()})
    assert np.array_equal(shown(content), colours.T[numbers])


def test_brightness_and_colour_in_one_grid_or_not_at_all():
    values = np.full((8, 8, 3), 128, np.uint8)
    values[..., 0] = 77
    assert np.array_equal(shown(tiff(values, photometric=6, tags={530: [1, 1]})), np.full((8, 8, 3), 77))
    with pytest.raises(UnreadableImage, match="coarser grid"):
        shown(tiff(values, photometric=6))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_orientation(kind, packed, turn):
    values = RANDOM.integers(0, 256, SIZE).astype(kind)
    values[0, :2] = 0, 255
    upright = [values, values[:, ::-1], values[::-1, ::-1], values[::-1], values.T, np.rot90(values, -1)]
    upright += [values[::-1, ::-1].T, np.rot90(values)]
    colours = np.stack([values.astype(np.uint8)] * 3, axis=2)
    for content in (tiff(values, packed=packed, tags={274: [turn]}), tiff(colours, packed=packed, tags={274: [turn]})):
        assert np.array_equal(shown(content)[..., 1], upright[turn - 1])


def test_odd_tags_lose_no_pixels():
    values = RANDOM.integers(0, 256, SIZE, dtype=np.uint8)
    odd = {282: [0], 283: [0, 0, 0], 296: [9, 9], 34665: [7], 34853: [65000], 700: [1, 2, 3], 34675: [5], 33432: [0]}
    for tag, numbers in odd.items():
        for order in "<>":
            content = tiff(values, order, tags={tag: numbers, 274: [6]})
            assert np.array_equal(shown(content)[..., 0], np.rot90(values, -1)), tag
