"""From bytes to a picture as it is stored, and from there to what is seen."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.Image import Transpose
from PIL.TiffImagePlugin import PREFIXES

from rococap.data.pictures.deep import Deep, flatten
from rococap.data.pictures.dicom import USUAL, Dicom, View, is_dicom, may_be_dicom
from rococap.data.pictures.png import SIGNATURE, Png
from rococap.data.pictures.tiff import Tiff, orientation

# What else Pillow opens may hold more bits, of which it would show the highest.
_OF_8_BITS = frozenset({"AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "MPO", "PCX", "TGA", "WEBP"})
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture for people and models.

    Attributes:
        pixels: 8-bit RGB, upright.
        windowed: whether it is shown between percentiles of its values, which left few levels of grey (see `deep`) or
            came without a window.
    """

    pixels: Image.Image
    windowed: bool


def decode(content: bytes, view: View = USUAL) -> Image.Image:
    """A picture as it is stored, by its bytes, whatever its file is called; raises nearly anything.

    Args:
        view: of DICOM files.
    """
    if is_dicom(content):
        return Dicom(content, view)
    if content.startswith(SIGNATURE):
        return Png(content)
    if content.startswith(tuple(PREFIXES)):
        return Tiff(content)
    try:
        image = Image.open(io.BytesIO(content))
        if image.format not in _OF_8_BITS:
            raise ValueError(f"a file of the kind {image.format} is not read: convert it to PNG")
        return image
    except UnidentifiedImageError:
        if may_be_dicom(content):
            return Dicom(content, view)
        raise


def show(image: Image.Image) -> Shown:
    """The first frame in RGB, upright as its EXIF data says: alpha on black, deeper images scaled to 8 bits."""
    image.seek(0)
    image.load()
    flat, windowed = image.shown() if isinstance(image, Dicom) else _flat(image)
    turn = _turn(image)
    upright = flat.transpose(turn) if turn is not None else flat
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        black = Image.new("RGBA", layered.size, (0, 0, 0, 255))
        return Shown(Image.alpha_composite(black, layered).convert("RGB"), windowed)
    return Shown(upright.convert("RGB"), windowed)


def _flat(image: Image.Image) -> tuple[Image.Image, bool]:
    """In 8 bits, and whether these are a window."""
    deep = image.deep() if isinstance(image, Png | Tiff) else None
    if deep is None and (image.mode.startswith("I") or image.mode == "F"):
        deep = Deep(np.asarray(image))
    return flatten(deep) if deep is not None else (image, False)


def _turn(image: Image.Image) -> Transpose | None:
    """By the one tag that says it. What else stands there may be broken, and then so be it."""
    try:
        up = image.getexif().get(Base.Orientation)
    except Exception:  # junk in it makes nearly anything be raised
        up = orientation(image) if isinstance(image, Tiff) else None
    return _TURNS.get(up) if isinstance(up, int) else None
