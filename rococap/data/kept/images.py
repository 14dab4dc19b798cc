"""Images decoded and resized once, for all runs: `uint8 [3, height, width]` rows in a memory-mapped cache."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np

from rococap.data.image import read
from rococap.data.kept import keys
from rococap.data.kept.chunks import Row, read_rows
from rococap.data.kept.folders import cache_folder, require_space, writing
from rococap.data.kept.rows import build_rows
from rococap.types import Example, LazyImage, Processor

log = logging.getLogger(__name__)


class Store:
    """The pixels of the examples that could be read.

    Attributes:
        examples: the readable ones, in the order in which they were asked for.
        unreadable: id -> why, of the ones left out.
    """

    kind = "pixel_values"

    def __init__(
        self, examples: Sequence[Example], rows: dict[str, Row], unreadable: dict[str, str], processor: Processor
    ) -> None:
        self.examples = [example for example in examples if example.id in rows]
        self.unreadable = unreadable
        self._images = {example.id: example.image for example in self.examples}
        self._rows = {name: rows[name] for name in self._images}
        self._processor = processor
        self._intact: set[str] = set()
        self._mended: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """Read-only uint8 [3, height, width]. Bytes changed on disk are noticed, and decoded anew from the image."""
        if name in self._mended:
            return self._mended[name]
        row = self._rows[name]
        if name not in self._intact:
            if not row.intact():
                log.warning("%s in %s was changed on disk: decoded anew from %s", name, row.chunk, self._images[name])
                return self._mended.setdefault(name, self._processor.pixels(read(self._images[name])))
            self._intact.add(name)
        return row.read()


def open_images(examples: Sequence[Example], processor: Processor, dataset: str, split: str) -> Store:
    """Decode what the cache lacks, in all cores, and open it.

    Args:
        dataset: its fingerprint.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    shape = (3, *processor.image_size)
    folder = cache_folder("images", keys.Images.of(dataset, processor).folder, split)
    rows = read_rows(folder, shape, np.uint8)
    unreadable: dict[str, str] = {}
    if any(example.id not in rows for example in examples):
        with writing(folder):
            rows = read_rows(folder, shape, np.uint8, clear=True)  # another run may have added some meanwhile
            missing = [example for example in examples if example.id not in rows]
            require_space(folder, len(missing) * int(np.prod(shape)), f"Keeping {len(missing):,} images of {split}")
            unreadable = build_rows(folder, missing, partial(_pixels, processor), f"decoding {split} images")
            rows = read_rows(folder, shape, np.uint8)
    for reason in unreadable.values():
        log.warning("%s: image left out of the run: %s", split, reason)
    return Store(examples, rows, unreadable, processor)


def _pixels(processor: Processor, image: LazyImage) -> np.ndarray:
    return processor.pixels(read(image))
