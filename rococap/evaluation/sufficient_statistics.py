"""`scores/<split>_statistics.npz`: what metrics counted in each caption, so that runs are tested without Java."""

from __future__ import annotations

import hashlib
import logging
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rococap.data.kept.files import write_whole
from rococap.evaluation.split_scores import score_predictions
from rococap.metrics.base import FloatArray, Metric
from rococap.runs.predictions import read_predictions
from rococap.types import Split, UserError

log = logging.getLogger(__name__)
_OF = "predictions_sha256"


def statistics(run: Path, split: Split, metrics: Mapping[str, Metric]) -> dict[str, FloatArray]:
    """Statistics `[images, k]` of a run's captions, by the metric's key; counted anew where they were not kept.

    Raises:
        UserError: the run has no captions of the split, or they cannot be scored.
    """
    found = _kept(run, split)
    if missing := {key: metric for key, metric in metrics.items() if key not in found}:
        counted = score_predictions(missing, read_predictions(_captions(run, split)), split, with_blind=False)
        found |= {key: values[0] for key, values in counted.statistics.items()}
        try:
            keep(run, split, found)
        except (OSError, UserError) as error:
            log.info("%s: statistics are not kept (%s)", run, error)
    return {key: found[key] for key in metrics}


def keep(run: Path, split: Split, found: Mapping[str, FloatArray]) -> None:
    """Write the file, or leave what was there; statistics `[images, k]` by the metric's key."""
    path = _path(run, split)
    path.parent.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {_OF: np.array(_digest(run, split)), **found}
    write_whole(path, lambda file: np.savez_compressed(file, **arrays))


def _kept(run: Path, split: Split) -> dict[str, FloatArray]:
    """What was counted of these very captions."""
    path = _path(run, split)
    if not path.is_file() or not _captions(run, split).is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            same = str(file[_OF]) == _digest(run, split)
            return {key: file[key] for key in file.files if key != _OF} if same else {}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s is damaged (%s): what it held is counted anew", path, error)
        return {}


def _path(run: Path, split: Split) -> Path:
    return run / "scores" / f"{split}_statistics.npz"


def _captions(run: Path, split: Split) -> Path:
    return run / "predictions" / f"{split}.jsonl"


def _digest(run: Path, split: Split) -> str:
    return hashlib.sha256(_captions(run, split).read_bytes()).hexdigest()
