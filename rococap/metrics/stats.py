"""How sure a score is, and whether two systems differ: resampling over images, from statistics that add up.

A resample is a row of weights, and its score a weighted sum: no metric is run again. All resamples of n images are the
same for every metric and system, so differences are paired. CIDEr's document frequencies stay those of the whole split,
since they are part of its statistics: drawn anew with each resample they would bias it.

Simulated on real captions (400 draws of 500 images), 95 % intervals hold the true score in 95 to 97 % of draws, those
of a difference the true one in 92 to 97 %; between equal systems 4 to 7 % of the tests find p < 0.05. Where a few
images carry most of a score (BLEU-4 of a weak system, mostly 0) intervals are too narrow: 85 % at 300 images, 91 % at
1,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rococap.metrics.base import FloatArray, Metric

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
_CHUNK = 100  # resamples at once: 8 MB of weights for 10,000 images


@dataclass(frozen=True, slots=True)
class Difference:
    """Second system minus first, its 95 % interval, and two p-values of the hypothesis that they do not differ."""

    metric: str
    value: float
    ci_low: float
    ci_high: float
    p_bootstrap: float
    p_randomization: float


def bootstrap(metric: Metric, statistics: FloatArray, seed: int = SEED) -> FloatArray:
    """Scores `[resamples, ..., names]` of 1,000 draws of images with replacement, from `[..., images, k]`."""
    images = statistics.shape[-2]
    by_image = np.moveaxis(statistics, -2, 0)
    flat = by_image.reshape(images, -1)  # one matrix product for all orders: fast
    draw = np.random.default_rng(seed)
    parts = []
    for size in _chunks():
        drawn = draw.integers(images, size=(size, images))
        weights = np.stack([np.bincount(row, minlength=images) for row in drawn]).astype(np.float64)
        parts.append(metric.combine((weights @ flat).reshape(size, *by_image.shape[1:])))
    return np.concatenate(parts)


def interval(draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends `[...]` of the 95 % percentile interval of draws `[resamples, ...]`."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def compare(metric: Metric, first: FloatArray, second: FloatArray, seed: int = SEED) -> list[Difference]:
    """Paired tests of two systems on the same images, from statistics `[images, k]` of each.

    Paired bootstrap (Koehn 2004): twice the share of resamples on the other side of 0. Approximate randomization
    (Noreen 1989; Riezler and Maxwell 2005): how often systems made by swapping images at random differ as much.
    """
    if first.shape != second.shape:
        raise ValueError(f"paired tests need the same images: statistics are {first.shape} and {second.shape}")
    both = np.stack([first, second])
    observed = _gap(metric.combine(both.sum(axis=-2)))
    draws = _gap(bootstrap(metric, both, seed))
    swapped = _gap(_swaps(metric, both, seed))
    low, high = interval(draws)
    tail = np.minimum(_share(draws <= 0), _share(draws >= 0))
    # Summing in another order moves the last digits: a difference as large as the observed one counts.
    extreme = _share(np.abs(swapped) >= np.abs(observed) - 1e-12)
    columns = zip(metric.names, observed, low, high, np.minimum(1, 2 * tail), extreme, strict=True)
    return [Difference(name, *map(float, values)) for name, *values in columns]


def _swaps(metric: Metric, both: FloatArray, seed: int) -> FloatArray:
    """Scores `[resamples, 2, names]` where a coin per image decides which of `both [2, images, k]` has it."""
    draw = np.random.default_rng(seed)
    first, second = both
    total = both.sum(axis=(0, 1))
    parts = []
    for size in _chunks():
        coins = draw.integers(2, size=(size, len(first))).astype(np.float64)
        ours = first.sum(axis=0) + coins @ (second - first)
        parts.append(metric.combine(np.stack([ours, total - ours], axis=1)))
    return np.concatenate(parts)


def _gap(scores: FloatArray) -> FloatArray:
    return np.asarray(scores[..., 1, :] - scores[..., 0, :])


def _share(hits: np.typing.NDArray[np.bool_]) -> FloatArray:
    """Share of resamples, the observed data counted as one of them: a p-value is never 0."""
    return np.asarray((1 + hits.sum(axis=0)) / (1 + len(hits)))


def _chunks() -> Iterator[int]:
    yield from (min(_CHUNK, RESAMPLES - start) for start in range(0, RESAMPLES, _CHUNK))
