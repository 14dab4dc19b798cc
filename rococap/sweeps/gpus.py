"""Shares a machine's GPUs among the jobs of sweeps that run on it, one each."""

from __future__ import annotations

import getpass
import itertools
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

log = logging.getLogger(__name__)
_LOOK_EVERY = 2.0  # seconds
_taken: list[str] = []  # the GPU that this process began with: CUDA keeps to it


@contextmanager
def gpu_of_job(accelerator: str, devices: object) -> Iterator[None]:
    """Keep a job to one GPU that no other job has, or wait for one; to be entered before CUDA is.

    Nothing happens in a run by itself, for a job that asks for no GPU or for several, and where a launcher gave it one.
    """
    alone = HydraConfig.get().mode != RunMode.MULTIRUN or accelerator == "cpu" or devices != 1
    gpus = _taken or visible_gpus()
    if alone or (len(gpus) < 2 and not _taken):
        yield
        return
    with one_of(gpus):
        yield


@contextmanager
def one_of(gpus: Sequence[str]) -> Iterator[str]:
    """The first of them that gets free, held until the end; CUDA_VISIBLE_DEVICES names it, for CUDA to begin with."""
    lock, gpu = _first_free(gpus)
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        _taken[:] = [gpu]
        yield gpu
    finally:
        lock.release()


def visible_gpus() -> list[str]:
    """The machine's GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return [str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
    return [name for name in given.split(",") if name]


def _first_free(gpus: Sequence[str]) -> tuple[filelock.FileLock, str]:
    """Acquired; the system frees it when the process ends, however it ends."""
    folder = Path(tempfile.gettempdir()) / f"rococap-gpus-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    for turn in itertools.count():
        for gpu in gpus:
            lock = filelock.FileLock(folder / gpu)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                continue
            return lock, gpu
        if turn == 0:
            log.info("each GPU has a job already: waiting for one of %s", ", ".join(gpus))
        time.sleep(_LOOK_EVERY)
    raise AssertionError
