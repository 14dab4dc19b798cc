"""`predictions/<split>_probabilities.npz`: how probable each label is for each image, beside what was predicted."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rococap.data.kept.files import write_whole
from rococap.types import UserError


@dataclass(frozen=True)
class Probabilities:
    """Of images and labels: float32 [images, labels], and [labels] from which on each is predicted."""

    ids: tuple[str, ...]
    cuis: tuple[str, ...]
    values: npt.NDArray[np.float32]
    thresholds: npt.NDArray[np.float32]


def file_of(split: str) -> str:
    """Where a split's lie in a run's folder."""
    return f"predictions/{split}_probabilities.npz"


def write_probabilities(path: Path, found: Probabilities) -> None:
    """Write the file, or leave what was there."""
    arrays: dict[str, Any] = {
        "ids": np.array(found.ids),
        "cuis": np.array(found.cuis),
        "values": found.values,
        "thresholds": found.thresholds,
    }
    write_whole(path, lambda file: np.savez_compressed(file, **arrays))


def read_probabilities(path: Path) -> Probabilities:
    """What was written; raises UserError where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            ids, cuis = (tuple(map(str, file[name])) for name in ("ids", "cuis"))
            values, thresholds = file["values"], file["thresholds"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} holds no probabilities ({error}).\nMake it anew: scripts/evaluate.py") from error
    if values.shape != (len(ids), len(cuis)) or thresholds.shape != (len(cuis),):
        raise UserError(f"{path} holds {values.shape} probabilities of {len(ids)} images and {len(cuis)} labels.")
    return Probabilities(ids, cuis, values, thresholds)
