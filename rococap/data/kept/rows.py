"""Rows of a cache made from images, in all cores; what a killed build had finished stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from rococap.cli import with_progress
from rococap.data.image import UnreadableImage
from rococap.data.kept.chunks import write_chunk
from rococap.types import Example, LazyImage, UserError

CHUNK = 512  # images a file, at most

Make = Callable[[LazyImage], np.ndarray]


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes of this machine's memory that this process could take, as far as the machine or its container says."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = [pages // 2]
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = [1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])]
    with suppress(OSError, ValueError):  # a container's own limit
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        free.append(limit - used)
    return max(0, min(free))


def build_rows(folder: Path, examples: Sequence[Example], make: Make, title: str) -> dict[str, str]:
    """Write a row for each image, by the holder of the folder's lock.

    Args:
        make: gives the row, or raises UnreadableImage; picklable.
        title: of the progress bar.

    Returns:
        id -> why, of the images that cannot be read.

    Raises:
        UserError: the disk is full or cannot be written, or a package that reads the images is missing.
    """
    workers = cores() if len(examples) > CHUNK else 0
    size = max(16, min(CHUNK, len(examples) // (4 * max(1, workers))))
    parts = [examples[first : first + size] for first in range(0, len(examples), size)]
    # A DataLoader, since its workers end by themselves when their parent is killed.
    loader: DataLoader[_Built] = DataLoader(
        parts,  # type: ignore[arg-type]  # a list is a dataset
        batch_size=None,
        num_workers=workers,
        collate_fn=partial(_part, folder, make),
    )
    unreadable: dict[str, str] = {}
    for built in with_progress(loader, len(examples), "images", title, lambda built: built.count):
        if built.error:
            raise UserError(built.error)
        unreadable |= built.unreadable
    return unreadable


@dataclass(frozen=True)
class _Built:
    count: int
    unreadable: dict[str, str]
    error: str  # why nothing was written; empty if all went well


def _part(folder: Path, make: Make, examples: Sequence[Example]) -> _Built:
    ids, arrays, unreadable = [], [], {}
    for example in examples:
        try:
            arrays.append(make(example.image))
            ids.append(example.id)
        except UnreadableImage as error:
            unreadable[example.id] = str(error)
        except UserError as error:  # returned, since a DataLoader would wrap it in a traceback
            return _Built(0, {}, str(error))
    try:
        if ids:
            write_chunk(folder, ids, arrays)
    except UserError as error:
        return _Built(0, {}, str(error))
    return _Built(len(examples), unreadable, "")
