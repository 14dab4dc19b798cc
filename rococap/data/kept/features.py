"""What a frozen vision tower makes of each image, computed once for all runs: cached rows `[positions, width]`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rococap.cli import with_progress
from rococap.data.kept import keys
from rococap.data.kept.chunks import Row, intact, read_rows, write_chunk
from rococap.data.kept.folders import NoSpace, cache_folder, require_space, writing
from rococap.data.kept.images import Store
from rococap.processes.group import group
from rococap.types import Example, UserError

log = logging.getLogger(__name__)

BATCH = 16  # images that the tower sees at once
CHUNK = 256  # images a file


@dataclass(frozen=True)
class Encoder:
    """A frozen vision tower, as the data sees it.

    Attributes:
        weights, encoding, arithmetic: what the features hang on, see `keys.Features`.
        shape: positions and width of an image's features.
        dtype: what they are kept in.
        encode: from uint8 [batch, 3, height, width] to float [batch, positions, width], on any device.
        passes: how often a run would encode each image, for who weighs whether keeping pays; None: they are kept.
    """

    weights: str
    encoding: Mapping[str, Any]
    arithmetic: str
    shape: tuple[int, int]
    dtype: type[np.float16] | type[np.float32]
    encode: Callable[[Tensor], Tensor]
    passes: int | None = None

    def key(self, images: keys.Images) -> keys.Features:
        """What its features of some images are kept under."""
        return keys.Features(images, self.weights, self.encoding, self.arithmetic, np.dtype(self.dtype).name)


class Features:
    """The features of the examples whose images could be read.

    Attributes:
        examples: these, in the order in which they were asked for.
        unreadable: id -> why, of the ones left out.
    """

    kind = "features"

    def __init__(self, examples: Sequence[Example], rows: dict[str, Row], unreadable: dict[str, str]) -> None:
        self.examples = [example for example in examples if example.id in rows]
        self.unreadable = unreadable
        self._rows = {example.id: rows[example.id] for example in self.examples}

    def __getitem__(self, name: str) -> np.ndarray:
        """Read-only float [positions, width], as kept."""
        return self._rows[name].read()


def open_features(
    examples: Sequence[Example],
    pixels: Callable[[Sequence[Example]], Store],
    encoder: Encoder,
    images: keys.Images,
    split: str,
) -> Features:
    """Encode what the cache lacks, and open it; bytes changed on disk are noticed here, and computed anew.

    Args:
        pixels: opens the store of some of the examples; called only where the cache lacks any.
        images: what the pixels hang on.

    Raises:
        NoSpace: the disk has no room for them.
        UserError: it cannot be written.
    """
    folder = cache_folder("features", encoder.key(images).folder, split)
    rows = intact(read_rows(folder, encoder.shape, encoder.dtype), examples)
    unreadable: dict[str, str] = {}
    if any(group().gathered(any(example.id not in rows for example in examples))):
        unreadable = _encode_missing(folder, examples, pixels, encoder, split)
        rows = read_rows(folder, encoder.shape, encoder.dtype)
    return Features(examples, rows, unreadable)


def _encode_missing(
    folder: Path,
    examples: Sequence[Example],
    pixels: Callable[[Sequence[Example]], Store],
    encoder: Encoder,
    split: str,
) -> dict[str, str]:
    """Shared out over the processes of the run that see the same cache, the first of which holds the folder's lock.

    Returns:
        id -> why, of the images that cannot be read.
    """
    processes = group()
    peers = processes.together(folder)
    leads = processes.rank == peers[0]
    with writing(folder) if leads else nullcontext():
        missing, fault = _missing(folder, examples, encoder, split) if leads else ([], "")
        plans = processes.gathered(([example.id for example in missing], fault))
        if fault := next((said for _, said in plans if said), ""):
            raise NoSpace(fault)
        ids = set(plans[peers[0]][0])
        with processes.first():
            store = pixels([example for example in examples if example.id in ids])
        _build(folder, store, encoder, f"encoding {split} images", peers.index(processes.rank), len(peers))
        processes.wait()
    return store.unreadable


def _missing(folder: Path, examples: Sequence[Example], encoder: Encoder, split: str) -> tuple[list[Example], str]:
    """What a cache lacks, for the holder of its lock; and why there is no room for it, where that is so."""
    # Another run may have added some meanwhile.
    rows = intact(read_rows(folder, encoder.shape, encoder.dtype, clear=True), examples, clear=True)
    missing = [example for example in examples if example.id not in rows]
    size = len(missing) * int(np.prod(encoder.shape)) * np.dtype(encoder.dtype).itemsize
    try:
        require_space(folder, size, f"Keeping the features of {len(missing):,} images of {split}")
    except NoSpace as error:
        return missing, str(error)
    return missing, ""


def _build(folder: Path, store: Store, encoder: Encoder, title: str, place: int, count: int) -> None:
    """Encode the part of one of so many processes; the batches are those of one."""
    ids = [example.id for example in store.examples]
    batches = [ids[first : first + BATCH] for first in range(0, len(ids), BATCH)][place::count]
    each = CHUNK // BATCH
    chunks = (batches[first : first + each] for first in range(0, len(batches), each))
    total = sum(map(len, batches))
    for chunk in with_progress(chunks, total, "images", title, lambda chunk: sum(map(len, chunk))):
        names = [name for batch in chunk for name in batch]
        write_chunk(folder, names, [row for batch in chunk for row in _encoded(store, batch, encoder)])


def _encoded(store: Store, ids: Sequence[str], encoder: Encoder) -> np.ndarray:
    features = encoder.encode(torch.from_numpy(np.stack([store[name] for name in ids]))).float().cpu().numpy()
    kept = features.astype(encoder.dtype)
    if not np.isfinite(kept).all():
        raise UserError(
            f"The features of {ids[0]} or its neighbours do not fit into {np.dtype(encoder.dtype).name}, or are no "
            "numbers.\nTake features=fp32, or features=off."
        )
    return kept
