"""Weights that are mapped from files while they are rounded: what was read is given back at once."""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_SECONDS = 0.1


@contextmanager
def given_back() -> Iterator[None]:
    """Meanwhile pages of safetensors files do not add up in memory: each is needed once, and is read again if not.

    On Linux; elsewhere the system alone decides. Nothing may write to these pages meanwhile.
    """
    if not _MAPS.exists() or not hasattr(mmap, "MADV_DONTNEED"):
        yield
        return
    done = threading.Event()
    library = ctypes.CDLL(None)

    def watch() -> None:
        while not done.wait(_SECONDS):
            for start, end in _mapped():
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _mapped() -> list[tuple[int, int]]:
    """Addresses of what is mapped of safetensors files, but for what can be written to and seen by others."""
    found = []
    for line in _MAPS.read_text().splitlines():
        if line.endswith(".safetensors") or "/blobs/" in line:
            start, _, end = line.split(maxsplit=1)[0].partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found
