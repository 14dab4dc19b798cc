"""Weights that are mapped from files while they are rounded: pages that were read are given back meanwhile."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_SECONDS = 0.1
# Linux's, since 5.4: pages go to where they came from, and come back when they are read. Unlike MADV_DONTNEED it never
# loses what was written to them: a model that is open already may have been trained in place, in pages of its file.
_PAGEOUT = 21


@contextmanager
def given_back() -> Iterator[None]:
    """Pages of weight files do not add up in memory meanwhile: each is needed once, or is read again.

    On Linux; elsewhere, and where the kernel is older, the system alone decides.
    """
    if not _MAPS.exists():
        yield
        return
    done = threading.Event()
    library = ctypes.CDLL(None)

    def watch() -> None:
        while not done.wait(_SECONDS):
            for start, end in _mapped():
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _PAGEOUT)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _mapped() -> list[tuple[int, int]]:
    """Addresses of what is mapped of safetensors and .bin files; the hub's cache names them by their content."""
    found = []
    for line in _MAPS.read_text().splitlines():
        if line.endswith((".safetensors", ".bin")) or "/blobs/" in line:
            start, _, end = line.split(maxsplit=1)[0].partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found
