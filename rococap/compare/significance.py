"""Which of many settings are as good as the best, given the images they were tested on and the seeds they ran with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from rococap.metrics.base import FloatArray

LEVEL = 0.05


def p_values(scores: Sequence[FloatArray], draws: Sequence[FloatArray]) -> FloatArray:
    """For each setting, of the hypothesis that its score is that of the best setting; 1 for the best itself.

    A difference is measured against two sources of chance. Images: the variance of the difference over resamples of the
    test images, the same ones for all (paired). Seeds: the variance within settings, pooled over all of them as in an
    analysis of variance. The sum is used with the t distribution, its degrees of freedom after Satterthwaite (1946).
    Where no setting has two seeds, only the models at hand are compared: what another seed would give is not known.
    Holm's correction (1979) is for the many comparisons with one best.

    A little conservative: what images do to a single run is in both variances.

    Args:
        scores: of each setting's runs, `[runs]`.
        draws: of each setting's runs in the same resamples of images, `[resamples, runs]`.
    """
    means = np.array([runs.mean() for runs in scores])
    best = int(means.argmax())
    spread, freedom = pooled_variance(scores)
    p = np.ones(len(scores))
    for other in range(len(scores)):
        if other != best:
            images = float(np.var(draws[best].mean(axis=1) - draws[other].mean(axis=1), ddof=1))
            seeds = spread * (1 / scores[best].size + 1 / scores[other].size)
            p[other] = _two_sided(means[best] - means[other], images, seeds, freedom)
    return _holm(p, best)


def pooled_variance(scores: Sequence[FloatArray]) -> tuple[float, int]:
    """Variance within settings and its degrees of freedom, from `[runs]` of each; 0, 0 where each has one run."""
    freedom = sum(runs.size - 1 for runs in scores)
    squares = sum(float(((runs - runs.mean()) ** 2).sum()) for runs in scores)
    return (squares / freedom, freedom) if freedom else (0.0, 0)


def _two_sided(difference: float, images: float, seeds: float, freedom: int) -> float:
    variance = images + seeds
    if variance == 0:
        return 1.0 if difference == 0 else 0.0
    freedoms = variance**2 / (seeds**2 / freedom) if seeds else np.inf
    return float(2 * stats.t.sf(abs(difference) / np.sqrt(variance), freedoms))


def _holm(p: FloatArray, best: int) -> FloatArray:
    """Corrected for as many comparisons as there are; the best is none of them."""
    others = np.array([index for index in np.argsort(p, kind="stable") if index != best], dtype=int)
    corrected = p.copy()
    factors = np.arange(len(others), 0, -1)
    corrected[others] = np.minimum(1, np.maximum.accumulate(p[others] * factors))
    return corrected
