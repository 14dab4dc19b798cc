"""PNG: all 16 bits of each channel, and good pixels beside bad metadata."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from rococap.data.pictures.deep import Deep

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TURNING = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")  # texts that may say which way is up
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# colour type -> the mode and the raw modes that together give both bytes of each channel: Pillow has none for all 16
# bits. What it takes for the high bytes of numbers in the other order are the low ones.
_BOTH = {2: ("RGB", ("RGB;16B", "RGB;16L")), 4: ("RGBA", ("RGBA",)), 6: ("RGBA", ("RGBA;16B", "RGBA;16L"))}


class Png(PngImageFile):
    """The first picture of a PNG file, without what else stands in it."""

    def __init__(self, content: bytes) -> None:
        self._essential = _essential(content)
        self._depth, self._colour = content[24], content[25]
        super().__init__(io.BytesIO(self._essential))
        if self._colour == 0 and self._depth < 8 and "transparency" in self.info:
            # Pillow widens the pixels to 8 bits, but not in all versions the value that is transparent.
            value = next(chunk[8:10] for kind, chunk in _chunks(self._essential) if kind == b"tRNS")
            self.info["transparency"] = int.from_bytes(value, "big") * 255 // (2**self._depth - 1)

    def deep(self) -> Deep | None:
        """All bits of a picture of 16 bits a channel; None of others."""
        if self._depth != 16:
            return None
        values: np.ndarray
        if self._colour == 0:
            values = np.asarray(self).astype(np.uint16)[..., None]
        elif self._colour == 4:
            pairs = self._decoded(4).astype(np.uint16)
            values = pairs[..., 0::2] << 8 | pairs[..., 1::2]
        else:
            high, low = (self._decoded(self._colour, half).astype(np.uint16) for half in (0, 1))
            values = high << 8 | low
        colours = 1 if self._colour in (0, 4) else 3
        alpha = values[..., colours] if values.shape[2] > colours else None
        if alpha is None and "transparency" in self.info:
            alpha = np.where((values == self.info["transparency"]).all(axis=2), 0, 65535).astype(np.uint16)
        return Deep(values[..., 0] if colours == 1 else values[..., :3], alpha)

    def _decoded(self, colour: int, half: int = 0) -> np.ndarray:
        mode, raw = _BOTH[colour]
        again = PngImageFile(io.BytesIO(self._essential))
        again._mode = mode
        again.tile = [tile._replace(args=raw[half]) for tile in again.tile]
        return np.asarray(again)


def _essential(content: bytes) -> bytes:
    """The file without what makes no pixels: a long text, a broken profile or checksum cannot lose them then."""
    start = content[: len(SIGNATURE) + 25]  # with the header
    kept = [SIGNATURE]
    for kind, chunk in _chunks(content):
        turning = kind == b"eXIf" or (kind in _TEXTS and chunk[8:].startswith(_TURNING))
        if kind[:1].isupper() or kind == b"tRNS" or (turning and _harmless(start, chunk)):
            kept.append(chunk)
    return b"".join(kept)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        yield content[position + 4 : position + 8], content[position : position + 12 + length]
        position += 12 + length


def _harmless(start: bytes, chunk: bytes) -> bool:
    """Whether Pillow can read a chunk that says which way is up."""
    try:
        Image.Image.getexif(PngImageFile(io.BytesIO(start + chunk + struct.pack(">I4s", 1, b"IDAT"))))
    except Exception:  # what is broken in it makes nearly anything be raised
        return False
    return True
