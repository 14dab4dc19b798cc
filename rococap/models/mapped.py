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
    """Pages of safetensors files that are mapped meanwhile do not add up: each is needed once, or is read again.

    What was mapped before is left alone: a model that is open already may have been trained in place, in pages of its
    file that are its own, and giving these back would undo that without a word. For the same reason nothing may write
    to what is mapped meanwhile. On Linux; elsewhere the system alone decides.
    """
    if not _MAPS.exists() or not hasattr(mmap, "MADV_DONTNEED"):
        yield
        return
    before = _mapped()
    done = threading.Event()
    library = ctypes.CDLL(None)

    def watch() -> None:
        while not done.wait(_SECONDS):
            new = [(start, end) for start, end in _mapped() if all(end <= low or high <= start for low, high in before)]
            for start, end in new:
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _mapped() -> list[tuple[int, int]]:
    """Addresses of what is mapped of safetensors files; the hub's cache names them by their content."""
    found = []
    for line in _MAPS.read_text().splitlines():
        if line.endswith(".safetensors") or "/blobs/" in line:
            start, _, end = line.split(maxsplit=1)[0].partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found
