"""What the cache holds, and how it is cleared."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rococap.data.kept.folders import cache_root
from rococap.types import UserError

KINDS = {
    "checksums": "checksums of image files",
    "images": "decoded images",
    "features": "encoded images",
    "doctor": "examined images",
    "baselines": "captions of other systems",
    "shards": "shards and what they hold",
    "answers": "what a judge answered",
}
# Nothing else is counted or deleted, wherever ROCOCAP_CACHE may point.
_OURS = ("*.npy", "*.json", "*.jsonl", "*.tmp", "scores-*.csv", "choice.txt", "stream.txt", "*.part-*", "*.tar")


@dataclass(frozen=True)
class Cache:
    """What was prepared of one dataset in one way.

    Attributes:
        kind: a key of `KINDS`.
        name: of most kinds it begins with the dataset's fingerprint.
        size: bytes.
        age: seconds since something was added.
    """

    kind: str
    name: str
    folder: Path
    size: int
    age: float


def caches() -> list[Cache]:
    """All that hold anything, by kind and name."""
    found = []
    for kind in KINDS:
        for folder in sorted(path for path in (cache_root() / kind).glob("*") if path.is_dir()):
            facts = [fact for part in _parts(folder) for fact in _facts(part)]
            if facts:
                age = time.time() - max(fact.st_mtime for fact in facts)
                found.append(Cache(kind, folder.name, folder, sum(fact.st_size for fact in facts), age))
    return found


def clear(cache: Cache) -> bool:
    """Delete a cache's files; false where a run is writing to a part of it, which stays.

    A run that is reading goes on with what it has open.

    Raises:
        UserError: a file cannot be deleted.
    """
    whole = True
    for part in _parts(cache.folder):
        try:
            with FileLock(part / "lock", timeout=0):
                for file in _files(part):
                    file.unlink()
                # The lock itself stays: deleted, it would not be the one that a waiting run then holds.
        except Timeout:
            whole = False
        except OSError as error:
            raise UserError(f"{part} cannot be cleared ({error.strerror}).") from error
    return whole


def _parts(folder: Path) -> list[Path]:
    """A folder for each split."""
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _files(part: Path) -> Iterator[Path]:
    return (file for file in part.iterdir() if file.is_file() and any(map(file.match, _OURS)))


def _facts(part: Path) -> Iterator[os.stat_result]:
    for file in _files(part):
        with suppress(FileNotFoundError):  # a run that is writing there has just renamed it
            yield file.stat()
