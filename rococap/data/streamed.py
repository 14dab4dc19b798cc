"""Training images that are decoded anew in each epoch: for what is too large to be kept decoded."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from torch.utils.data import get_worker_info

from rococap.data.image import UnreadableImage, read
from rococap.data.kept.choice import remembered
from rococap.data.kept.folders import cache_folder
from rococap.data.kept.keys import Images
from rococap.data.kept.rows import cores
from rococap.data.shards.fetched import in_place
from rococap.data.shards.image import ShardImage
from rococap.data.shards.shardlist import Shard
from rococap.types import Example, Processor

log = logging.getLogger(__name__)

_SHARE = 0.5  # of the free disk, at most, for what is kept
_THREADS = 4  # that decode a batch where no other process does


class Streamed:
    """The pixels of examples, decoded when they are asked for.

    Attributes:
        examples: all of them; which cannot be read is found out while training, told, and left out of its batch.
        unreadable: none is known before.
    """

    kind = "pixel_values"

    def __init__(self, examples: Sequence[Example], processor: Processor) -> None:
        self.examples, self.unreadable = list(examples), dict[str, str]()
        self.shape = (3, *processor.image_size)
        self._images = {example.id: example.image for example in examples}
        self._processor = processor
        self._told: set[str] = set()

    def rows(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """uint8 [3, height, width] of each that can be read; raises UserError where a shard cannot be had."""
        threads = min(_THREADS, cores(), len(names)) if get_worker_info() is None else 1
        with ThreadPoolExecutor(threads) as pool:  # Pillow decodes outside the interpreter's lock
            decoded = list(pool.map(self._decoded, names))
        return {name: pixels for name, pixels in zip(names, decoded, strict=True) if pixels is not None}

    def fetched(self) -> tuple[list[Shard], np.ndarray] | None:
        """The shards that must be fetched to be read, and int [images], which of them each image is in; None: none."""
        shards: dict[Shard, int] = {}
        numbers = []
        for example in self.examples:
            if not isinstance(example.image, ShardImage) or in_place(example.image.shard):
                return None
            numbers.append(shards.setdefault(example.image.shard, len(shards)))
        return list(shards), np.array(numbers, dtype=np.int64)

    def _decoded(self, name: str) -> np.ndarray | None:
        try:
            return self._processor.pixels(read(self._images[name]))
        except UnreadableImage as error:
            if name not in self._told:
                self._told.add(name)
                log.warning("train: image left out of its batches: %s", error)
            return None


def too_large(count: int, images: Images, split: str) -> tuple[bool, str]:
    """Whether so many decoded images are too large to be kept, and why; chosen once for a dataset and its cache."""
    folder = cache_folder("images", images.folder, split)

    def weighed() -> tuple[bool, str]:
        need, free = count * 3 * images.size[0] * images.size[1], shutil.disk_usage(folder).free
        there = sum(file.stat().st_size for file in folder.glob("*.npy"))
        text = f"{need / 1e9:.1f} GB decoded, and {free / 1e9:.1f} GB are free on the disk of {folder}"
        return need - there > _SHARE * free, text

    return remembered(folder / "stream.txt", ("stream", "keep"), weighed)
