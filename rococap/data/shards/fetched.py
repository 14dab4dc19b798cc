"""Shards that must be fetched or unpacked before an image in them can be read: kept on the disk for a while.

All processes of a machine share them. What nobody has asked for lately gives way, sooner where the disk is full.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from rococap.data.kept import keys
from rococap.data.kept.files import whole_file
from rococap.data.kept.folders import REMEDY, NoSpace, cache_folder
from rococap.data.shards.reading import Damaged, Unreachable, unpacked
from rococap.data.shards.shardlist import Shard
from rococap.types import UserError

log = logging.getLogger(__name__)

PAUSES = (1.0, 4.0, 15.0)  # seconds before each new try
UNUSED = 300.0  # seconds after which one that nobody asked for may go
_TOUCHED = 20.0  # seconds between two notes that one is in use
_ROOM = 1.05  # of its size, on the disk
_SHARE = 0.5  # of the disk that is free without them, at most: runs write there too


def opened(shard: Shard) -> BinaryIO:
    """A shard's unpacked bytes, in a file; it is fetched if it is not here.

    Raises:
        UserError: it cannot be had, or the disk is full.
    """
    if in_place(shard):
        assert shard.path is not None
        return shard.path.open("rb")
    for _ in range(3):
        file = fetched(shard)
        with suppress(FileNotFoundError):  # another process has just made room
            stream = file.open("rb")
            in_use(file)
            return stream
    raise NoSpace(f"{shard} is deleted as soon as it is fetched: the disk is too full for several runs.\n{REMEDY}")


def in_place(shard: Shard) -> bool:
    """Whether a shard is read where it lies: a file here that is not packed."""
    return shard.path is not None and not _packed(shard.path)


def fetched(shard: Shard, pauses: Sequence[float] | None = None) -> Path:
    """Where a shard lies once it is fetched and unpacked; raises as `opened`.

    Args:
        pauses: seconds before each new try; None: `PAUSES`.
    """
    folder = cache_folder("shards", "fetched", "all")
    file = folder / f"{keys.Shard(shard.url).digest()}.tar"
    if not file.exists():
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                _fetch(shard, file, PAUSES if pauses is None else pauses)
    return file


def in_use(file: Path) -> None:
    """Note that a fetched shard is still wanted."""
    with suppress(OSError):
        if time.time() - file.stat().st_mtime > _TOUCHED:
            os.utime(file)


def _fetch(shard: Shard, file: Path, pauses: Sequence[float]) -> None:
    for pause in (*pauses, None):
        try:
            _make_room(file.parent, shard.size)
            with unpacked(shard) as stream, whole_file(file, REMEDY) as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
                if shard.size and copy.tell() < shard.size:
                    raise Damaged(f"{shard} has {copy.tell():,} bytes, and had {shard.size:,} when it was listed.")
            return
        except (Unreachable, Damaged, EOFError) as error:
            if pause is None:
                raise UserError(
                    f"{str(error).rstrip('.')}: tried {len(pauses) + 1} times.\n"
                    "Once it is there again, the same command goes on."
                ) from error
            log.warning("%s Trying again in %.0f seconds.", error, pause)
            time.sleep(pause)


def _make_room(folder: Path, needed: int) -> None:
    """Delete what nobody uses, and more where there is too much, the longest unused first; raises NoSpace."""
    there = []
    for path in folder.glob("*.tar"):
        with suppress(FileNotFoundError):
            facts = path.stat()
            there.append((facts.st_mtime, facts.st_size, path))
    held, free = sum(size for _, size, _ in there), shutil.disk_usage(folder).free
    most = _SHARE * (held + free)
    for used, size, path in sorted(there):
        if held + needed > most or time.time() - used > UNUSED:
            path.unlink(missing_ok=True)
            held -= size
    free = shutil.disk_usage(folder).free
    if free < needed * _ROOM:
        raise NoSpace(
            f"A shard takes {needed / 1e9:.2f} GB, but {free / 1e9:.2f} GB are free on the disk of {folder}.\n{REMEDY}"
        )


@lru_cache(maxsize=1 << 16)
def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"))
