"""Krippendorff's alpha of ordinal ratings: how far readers agree beyond chance.

Own code, since the package krippendorff is under GPL, and for intervals: coincidences add up over images.
"""

from __future__ import annotations

import numpy as np

from rococap.metrics.base import FloatArray


def coincidences(ratings: FloatArray, values: int) -> FloatArray:
    """`[units, values, values]`: how often two ratings of a unit were these, each unit by its number of readers.

    After Krippendorff (2011), *Computing Krippendorff's Alpha-Reliability*, section D. A unit with one rating has none.

    Args:
        ratings: `[readers, units]`, of 1 to `values`; NaN where a reader gave none.
    """
    counts = (ratings[..., None] == np.arange(1, values + 1)).sum(axis=0).astype(np.float64)  # [units, values]
    together = counts[:, :, None] * counts[:, None, :]
    together -= np.eye(values) * counts[:, None, :]
    return np.asarray(together / np.maximum(counts.sum(axis=1) - 1, 1)[:, None, None])


def alpha(found: FloatArray) -> FloatArray:
    """Alpha `[...]` of summed coincidences `[..., values, values]`; NaN where all ratings are the same: no chance."""
    totals = found.sum(axis=-1)
    below = np.cumsum(totals, axis=-1)
    middle = below - totals / 2  # of each value, the ratings below it and half of its own
    distance = (middle[..., :, None] - middle[..., None, :]) ** 2
    observed = (found * distance).sum(axis=(-2, -1))
    expected = (totals[..., :, None] * totals[..., None, :] * distance).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(expected > 0, 1 - (totals.sum(axis=-1) - 1) * observed / expected, np.nan))
