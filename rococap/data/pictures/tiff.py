"""TIFF: values of every byte order, sign and width, as they are."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import TiffImagePlugin as plugin
from PIL.ExifTags import Base
from PIL.ImagePalette import raw as raw_palette
from PIL.TiffImagePlugin import TiffImageFile

from rococap.data.pictures.deep import Deep

# Sample formats and bits of one grey channel that are read here; of the others Pillow knows what they are.
_KINDS = {(1, 12): "u2", (1, 16): "u2", (1, 32): "u4", (2, 8): "i1", (2, 16): "i2", (2, 32): "i4"}
_KINDS |= {(3, 16): "f2", (3, 32): "f4"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PREMULTIPLIED, _UNUSED = 1, 0  # what a fourth channel is
_APART = 2  # channels one after another


class Tiff(TiffImageFile):
    """The first picture of a TIFF file, which is not turned yet.

    Of what it knows to unpack, Pillow takes some kinds for others: signed for unsigned, white for black, one byte order
    for the other where the file is packed. So deep grey values are fetched as bytes, by telling it that they are
    unsigned, black is zero and the order little; and 16-bit colours byte by byte.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        super().__init__(io.BytesIO(content))

    def _setup(self) -> None:
        tags = self.tag_v2
        # Before Pillow looks: it goes by these tags.
        self._white_is_zero = (photometric := tags.get(plugin.PHOTOMETRIC_INTERPRETATION, 0)) == _WHITE_IS_ZERO
        samples, bits = tags.get(plugin.SAMPLESPERPIXEL, 1), tags.get(plugin.BITSPERSAMPLE, (1,))
        kind = _KINDS.get((tags.get(plugin.SAMPLEFORMAT, (1,))[0], bits[0]))
        grey = samples == 1 and photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and kind is not None
        self._colours = photometric in (_RGB, _CMYK) and set(bits) == {16}
        tags._prefix = plugin.II if grey or tags._endian == "<" else plugin.MM
        if grey:
            tags[plugin.PHOTOMETRIC_INTERPRETATION] = _BLACK_IS_ZERO
            tags[plugin.SAMPLEFORMAT] = (1,)
        if self._colours and tags.get(plugin.EXTRASAMPLES) == (_PREMULTIPLIED,):
            tags[plugin.EXTRASAMPLES] = (_UNUSED,)  # its colours lie on black already
        try:
            super()._setup()
        except (SyntaxError, KeyError) as error:
            what = f"{bits[0]}-bit values of format {tags.get(plugin.SAMPLEFORMAT, (1,))[0]}, photometry {photometric}"
            packing = tags.get(plugin.COMPRESSION, 1)
            raise ValueError(f"a TIFF of a kind that is not read: {what}, compression {packing}") from error
        packed = self._compression != "raw"
        order: Literal["=", "<", ">"] = "=" if packed or bits[0] == 12 else "<" if tags._endian == "<" else ">"
        self._dtype = np.dtype(kind).newbyteorder(order) if grey else None
        if photometric == _YCBCR and samples == 3 and not packed:
            apart = self._planar_configuration == _APART
            if apart or tuple(tags.get(plugin.YCBCRSUBSAMPLING, (2, 2))) != (1, 1):
                raise ValueError("an uncompressed TIFF with colours in a coarser grid than brightness is not read")
            self._mode = "YCbCr"  # which older versions of Pillow take for RGB
            self._unpack(lambda raw: "YCbCr")
        if photometric == _PALETTE and max(colours := tags[plugin.COLORMAP]) < 256:
            self.palette = raw_palette("RGB;L", bytes(colours))  # written in 8 bits, not 16
        if self._colours and self._planar_configuration == _APART:
            if packed or self.mode == "CMYK":
                raise ValueError("a TIFF with 16-bit channels one after another is read if uncompressed and RGB")
            end = "L" if tags._endian == "<" else "B"
            self._unpack(lambda raw: f"{raw};16{end}")
        elif self._colours:
            self._unpack(lambda raw: raw.replace(";16N", ";16L" if sys.byteorder == "little" else ";16B"))

    def _unpack(self, raw: Callable[[str], str]) -> None:
        """Change how the values of each tile are taken from their bytes, by Pillow's name for it."""
        for number, tile in enumerate(self.tile):
            assert isinstance(tile.args, tuple)
            self.tile[number] = tile._replace(args=(raw(tile.args[0]), *tile.args[1:]))

    def load_end(self) -> None:
        """Leaves the picture as it is stored: Pillow turns it here, by all of its EXIF, of which one odd tag is enough
        to lose it.
        """
        self._size = self.im.size

    def deep(self) -> Deep | None:
        """Deep values; None of other pictures."""
        if self._dtype is not None:
            values = np.ascontiguousarray(np.asarray(self)).view(self._dtype)
            return Deep(values.astype(self._dtype.newbyteorder("=")), white_is_zero=self._white_is_zero)
        if not self._colours:
            return None
        high, low = np.asarray(self).astype(np.uint16), self._low_bytes().astype(np.uint16)
        values = high << 8 | low
        return Deep(values[..., :3], values[..., 3]) if self.mode == "RGBA" else Deep(values)

    def _low_bytes(self) -> np.ndarray:
        """Those of each channel: the high ones of numbers in the other order."""
        again = Tiff(self._content)
        other = {"L": "B", "B": "L"}
        again._unpack(lambda raw: raw[:-1] + other[raw[-1]])
        return np.asarray(again)


def orientation(image: TiffImageFile) -> object:
    """The tag alone."""
    return image.tag_v2.get(Base.Orientation)
