"""Where prepared data is kept; each folder is written by one process at a time."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rococap.types import UserError

log = logging.getLogger(__name__)

REMEDY = "Free some space, or choose another disk with ROCOCAP_CACHE=DIR."


def cache_root() -> Path:
    """`$ROCOCAP_CACHE`, or `~/.cache/rococap`."""
    return Path(os.environ.get("ROCOCAP_CACHE") or "~/.cache/rococap").expanduser()


def cache_folder(*parts: str) -> Path:
    """A folder in the cache, made if it is missing; raises UserError where it cannot be."""
    folder = cache_root().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The cache {folder} cannot be made ({error.strerror}).\nChoose another with ROCOCAP_CACHE=DIR."
        ) from error
    return folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold a cache folder's lock, and clear what a killed writer left; waits for another process that holds it."""
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        log.info("another run is writing to %s: waiting for it", folder)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"The cache {folder} cannot be written ({error.strerror}).\nChoose another with ROCOCAP_CACHE=DIR."
        ) from error
    try:
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        yield
    finally:
        lock.release()


class NoSpace(UserError):
    """The disk is too small for what is to be kept."""


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise NoSpace unless `needed` bytes and a twentieth more are free."""
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise NoSpace(
            f"{what} takes {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free on the disk of {folder}.\n"
            "Free some, choose another disk with ROCOCAP_CACHE=DIR, or take less with data.fraction."
        )
