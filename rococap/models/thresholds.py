"""From which probability on a concept is predicted.

Chosen for ImageCLEF's score, the F1 of an image's concepts as sets, averaged over images: `concept_f1` of
`rococap.metrics.concepts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from rococap.types import Labels, UserError, codes

Threshold = Literal["global", "per_class"] | float
FloatArray = npt.NDArray[np.float64]
_START = 0.5  # until one is chosen
_FLOOR = 1e-3  # no threshold is less: what is less probable is not looked at
_LEAST = 5  # images that have a concept, for a threshold of its own
_ROUNDS = 2  # through all labels: the threshold of one hangs on those of the others


def kept(threshold: Threshold) -> float:
    """What holds before one is chosen."""
    return _START if isinstance(threshold, str) else float(threshold)


def choose(
    probabilities: npt.NDArray[np.float32], gold: Sequence[str], labels: Labels, *, per_class: bool
) -> FloatArray:
    """The thresholds `[labels]` with the greatest score.

    One for all is found exactly: all cuts between probabilities are tried. One each begins with it, and goes through
    the labels that at least five images have, each for the greatest score given the others.

    Args:
        probabilities: `[images, labels]`.
        gold: the concepts of each image, as a text.

    Raises:
        UserError: no image has a concept.
    """
    sets = [codes(text) - {""} for text in gold]
    if not any(sets):
        raise UserError(
            f"concepts.threshold={'per_class' if per_class else 'global'} is chosen on valid, and none of its "
            f"{len(gold):,} images has a concept.\nTake a number: concepts.threshold=0.5"
        )
    sizes = np.array([len(names) for names in sets])
    hits = np.zeros(probabilities.shape, dtype=bool)
    for row, names in enumerate(sets):
        hits[row, [labels.numbers[name] for name in names if name in labels.numbers]] = True
    thresholds = np.full(len(labels), _one(probabilities, hits, sizes))
    return _each(probabilities, hits, sizes, thresholds) if per_class else thresholds


def scores(right: npt.NDArray[np.int64], said: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> FloatArray:
    """F1 of each image from how many concepts are right, said and gold; an image without gold has 1 if none is said."""
    f1: FloatArray = np.where(sizes == 0, said == 0, 2 * right / np.maximum(said + sizes, 1)).astype(np.float64)
    return f1


def _one(probabilities: npt.NDArray[np.float32], hits: npt.NDArray[np.bool_], sizes: npt.NDArray[np.int64]) -> float:
    images, numbers = np.nonzero(probabilities >= _FLOOR)
    values = probabilities[images, numbers]
    order = np.lexsort((-values, images))
    images, values, right = images[order], values[order], hits[images[order], numbers[order]].astype(np.int64)
    first = np.searchsorted(images, images)  # of each image's entries the first
    said = np.arange(len(images)) - first + 1
    total = np.cumsum(right)
    f1 = scores(total - (total - right)[first], said, sizes[images])
    none = scores(np.zeros_like(sizes), np.zeros_like(sizes), sizes)
    before = np.where(said == 1, none[images], np.roll(f1, 1))
    return _cut(values, f1 - before)


def _each(
    probabilities: npt.NDArray[np.float32],
    hits: npt.NDArray[np.bool_],
    sizes: npt.NDArray[np.int64],
    thresholds: FloatArray,
) -> FloatArray:
    thresholds, predicted = thresholds.copy(), probabilities >= thresholds
    right, said = (predicted & hits).sum(axis=1), predicted.sum(axis=1)
    for number in np.tile(np.flatnonzero(hits.sum(axis=0) >= _LEAST), _ROUNDS):
        hit, was = hits[:, number], predicted[:, number]
        right, said = right - (hit & was), said - was
        gains = scores(right + hit, said + 1, sizes) - scores(right, said, sizes)
        seen = probabilities[:, number] >= _FLOOR
        threshold = _cut(probabilities[seen, number], gains[seen])
        now = probabilities[:, number] >= threshold
        if gains[now].sum() > gains[was].sum() + 1e-9:
            thresholds[number], predicted[:, number] = threshold, now
        right, said = right + (hit & predicted[:, number]), said + predicted[:, number]
    return thresholds


def _cut(values: npt.NDArray[np.float32], gains: FloatArray) -> float:
    """The value between two others from which on the gains have the greatest sum; what is equal stays together."""
    order = np.argsort(-values, kind="stable")
    sorted_values = values[order]
    sums = np.concatenate([[0.0], np.cumsum(gains[order])])  # of the first 0, 1, ... of them
    ends = np.concatenate([[1.0], sorted_values, [_FLOOR]]).astype(np.float32)  # what lies around each cut
    sums[np.flatnonzero(ends[:-1] == ends[1:])] = -np.inf
    best = int(sums.argmax())
    middle = np.float32((float(ends[best]) + float(ends[best + 1])) / 2)
    return float(middle if middle > ends[best + 1] else ends[best])
