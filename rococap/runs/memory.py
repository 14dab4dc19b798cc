"""How much memory a run takes at its peak: its process, the processes that it started, and the GPU."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import threading
import time
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PAUSE = 0.25  # seconds between two looks at other processes; Java's tokenizer lives for half a second
_SHARE = 0.05  # of a core's time, at most, is spent on looking


class _Others(threading.Thread):
    """Looks at this process and all that descend from it, while there are any."""

    def __init__(self) -> None:
        super().__init__(name="memory", daemon=True)
        self.peak = 0  # bytes, of all together
        self._ended = threading.Event()

    def run(self) -> None:
        pause = _PAUSE
        while not self._ended.wait(pause):
            begun = time.perf_counter()
            if others := descendants(os.getpid()):
                self.peak = max(self.peak, sum(map(proportional, [os.getpid(), *others])))
            pause = max(_PAUSE, (time.perf_counter() - begun) / _SHARE)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


_others: _Others | None = None


def reset_peak_memory(device: str) -> None:
    """Measure from here on: jobs of a sweep may share a process, of which each is to be measured alone.

    What is free is given back first. Where the kernel's own mark cannot be reset, that of the process stays.
    """
    global _others
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):  # no such file but on Linux, and some containers forbid to write it; see man 5 proc
        (_PROC / "self" / "clear_refs").write_text("5", encoding="ascii")
    if _others is not None:
        _others.end()
        _others = None
    if proportional(os.getpid()):
        _others = _Others()
        _others.start()
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> dict[str, float]:
    """The most that was held at once, in MiB: on the machine, and on the GPU if there is one.

    On Linux the processes that this one started count too, by their shares of what they have in common (PSS).
    """
    peak = {"rss_mib": round(max(own_peak(), _others.peak if _others else 0) / 2**20, 1)}
    if device == "cuda":
        import torch

        peak["gpu_mib"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peak


def own_peak() -> int:
    """Bytes that this process held at its peak."""
    status = _PROC / "self" / "status"
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def proportional(process: int) -> int:
    """Bytes that a process holds now, what it shares divided by those who share it; 0 where it has gone."""
    with suppress(OSError, StopIteration):
        lines = (_PROC / str(process) / "smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return 0


def descendants(process: int) -> list[int]:
    """The processes that one has started, and those that they have."""
    found: list[int] = []
    for task in (_PROC / str(process) / "task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text(encoding="ascii").split()):
                found += [child, *descendants(child)]
    return found
