"""Looks at every image of a split once: how it is stored, a digest of its pixels, a thumbnail. Kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Resampling

from rococap.data.image import opened
from rococap.data.kept import keys
from rococap.data.kept.chunks import intact, read_rows
from rococap.data.kept.folders import cache_folder, require_space, writing
from rococap.data.kept.rows import build_rows
from rococap.data.pictures.decode import show
from rococap.types import Example, LazyImage, Split

SIDE = 64  # pixels of a thumbnail

LOOK = np.dtype(
    [
        ("digest", "<u8"),  # of size and RGB pixels
        ("width", "<i4"),
        ("height", "<i4"),
        ("mode", "S8"),  # Pillow's, as stored
        ("format", "S8"),
        ("coloured", "?"),
        ("windowed", "?"),  # see `Shown`
        ("thumbnail", "u1", (SIDE, SIDE)),  # grey, squeezed to a square
    ]
)
_COLOUR = 12  # levels between channels, in a thumbnail; JPEG makes 2 or 3 of pure grey


@dataclass(frozen=True)
class Looks:
    """What was seen of a split.

    Attributes:
        ids: of the readable images, in the dataset's order.
        rows: a `LOOK` for each of them.
        unreadable: id -> why, of the others.
    """

    ids: list[str]
    rows: np.ndarray
    unreadable: dict[str, str]


def look(examples: Sequence[Example], dataset: str, split: Split) -> Looks:
    """Look at what the cache does not know yet, in all cores.

    Args:
        dataset: its fingerprint.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    folder = cache_folder("doctor", keys.Looks(dataset).folder, split)
    shape = (LOOK.itemsize,)
    rows = intact(read_rows(folder, shape, np.uint8), examples)
    unreadable: dict[str, str] = {}
    if any(example.id not in rows for example in examples):
        with writing(folder):
            rows = intact(read_rows(folder, shape, np.uint8, clear=True), examples, clear=True)
            missing = [example for example in examples if example.id not in rows]
            require_space(folder, len(missing) * LOOK.itemsize, f"Examining {len(missing):,} images of {split}")
            unreadable = build_rows(folder, missing, _look, f"examining {split} images")
            rows = read_rows(folder, shape, np.uint8)
    seen = [example.id for example in examples if example.id in rows]
    stacked = np.stack([rows[name].read() for name in seen]) if seen else np.empty((0, LOOK.itemsize), np.uint8)
    return Looks(seen, stacked.view(LOOK)[:, 0], unreadable)


def _look(image: LazyImage) -> np.ndarray:
    """uint8 [LOOK.itemsize]; raises UnreadableImage."""
    with opened(image) as stored:
        mode, kind, shown = stored.mode, stored.format or "", show(stored)
    pixels = shown.pixels
    small = pixels.resize((SIDE, SIDE), Resampling.BOX)
    channels = np.asarray(small, dtype=np.int16)
    digest = hashlib.blake2b(f"{pixels.size}".encode() + pixels.tobytes(), digest_size=8).digest()
    row = np.zeros(1, LOOK)
    row["digest"] = np.frombuffer(digest, "<u8")
    row["width"], row["height"] = pixels.size
    row["mode"], row["format"] = mode.encode(), kind.encode()
    row["windowed"] = shown.windowed
    row["coloured"] = np.ptp(channels, axis=2).max() > _COLOUR
    row["thumbnail"] = np.asarray(small.convert("L"))
    return row.view(np.uint8)
