"""Whether keeping features pays: the time that encoding takes in each epoch against that of reading, both measured.

What was chosen is kept beside the features, so that the same command makes the same choice again: kept features are
rounded to half precision, and a run would differ in its last digits.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from rococap.data.kept.features import Encoder
from rococap.data.kept.files import write_whole
from rococap.data.kept.folders import REMEDY

FILE = "choice.txt"
_IMAGES = 4  # encoded for the measurement, after one that warms up
_TRIAL = 32 << 20  # bytes written for it
_SHARE = 0.5  # of the free disk, at most: other runs want some too


def pays(encoder: Encoder, images: int, size: tuple[int, int], folder: Path) -> tuple[bool, str]:
    """Whether to keep the features of so many images, and why.

    Args:
        size: height and width of the images, in pixels.
        folder: where they would be kept.
    """
    return remembered(folder / FILE, ("keep", "encode"), lambda: _weighed(encoder, images, size, folder))


def remembered(file: Path, words: tuple[str, str], weigh: Callable[[], tuple[bool, str]]) -> tuple[bool, str]:
    """A choice and why, as it was made before; else as it is weighed now, and kept.

    Args:
        words: that stand in the file for yes and for no.
    """
    if file.is_file():
        word, _, why = file.read_text(encoding="utf-8").partition("\n")
        return word == words[0], why
    chosen, why = weigh()
    write_whole(file, f"{words[not chosen]}\n{why}", REMEDY)
    return chosen, why


def _weighed(encoder: Encoder, images: int, size: tuple[int, int], folder: Path) -> tuple[bool, str]:
    assert encoder.passes is not None
    each = int(np.prod(encoder.shape)) * np.dtype(encoder.dtype).itemsize
    total, free = each * images, shutil.disk_usage(folder).free
    if total > _SHARE * free:
        return False, f"{total / 1e9:.1f} GB would be kept, and {free / 1e9:.1f} GB are free on the disk of {folder}"
    encoding, moving = _seconds_to_encode(encoder, size), each * _seconds_per_byte(folder)
    # Written once and read in each pass, against encoded in each pass but the first.
    keep = (encoder.passes - 1) * encoding > (encoder.passes + 1) * moving
    return keep, (
        f"encoding {images:,} images takes {_said(images * encoding)} an epoch here, moving their {total / 1e9:.2f} GB "
        f"to or from the disk {_said(images * moving)}"
    )


def _seconds_to_encode(encoder: Encoder, size: tuple[int, int]) -> float:
    images = torch.zeros(_IMAGES, 3, *size, dtype=torch.uint8)
    encoder.encode(images[:1]).cpu()
    begun = time.perf_counter()
    encoder.encode(images).cpu()
    return (time.perf_counter() - begun) / _IMAGES


def _seconds_per_byte(folder: Path) -> float:
    """Of writing to the disk itself; reading is seldom slower, and what was just written would be read from memory."""
    content = np.random.default_rng(0).bytes(_TRIAL)
    trial = folder / "trial.tmp"
    begun = time.perf_counter()
    try:
        with trial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - begun) / _TRIAL
    finally:
        trial.unlink(missing_ok=True)


def _said(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"
