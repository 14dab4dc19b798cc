"""How a score grows with the amount of training data: a saturating power law, its band, and what it forecasts.

    score(x) = a - b * x**-c        x: share of the training images, 0 < x <= 1

The form is that of Hestness et al. (2017), arXiv:1712.00409, and Rosenfeld et al. (2020), arXiv:1909.12673, who fit
errors; a score is what the error takes from it. It holds where a model learns from data at all: not at the very small
fractions that teach nothing, of which residuals tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from rococap.types import UserError

FloatArray = npt.NDArray[np.float64]

LEAST = 4  # fractions: three parameters go through any three points
LEVEL = 0.95
SEED = 0
_EXPONENTS = np.geomspace(0.02, 4, 500)  # at the least a logarithm, at the most a step


@dataclass(frozen=True)
class Points:
    """Runs that differ in nothing but the amount of data and in seeds; all arrays are `[runs]`."""

    fractions: FloatArray
    scores: FloatArray
    seeds: Sequence[int]  # of training
    subset_seeds: Sequence[int]  # of which images a fraction takes
    draws: FloatArray  # [resamples, runs]: scores over resampled test images, the same resamples for all runs


@dataclass(frozen=True)
class Curve:
    """One power law, or many: `a`, `b` and `c` are `[...]`."""

    a: FloatArray
    b: FloatArray
    c: FloatArray

    def __call__(self, fractions: FloatArray) -> FloatArray:
        """Scores `[..., fractions]`."""
        return np.asarray(self.a[..., None] - self.b[..., None] * fractions ** -self.c[..., None])


@dataclass(frozen=True)
class Forecast:
    """A fitted curve with its 95 % band, and the score that it gives for all of the data."""

    curve: Curve
    fractions: FloatArray  # [points] from the least fraction to 1, where the band is given
    low: FloatArray
    high: FloatArray
    residuals: FloatArray  # [runs]: score minus curve
    sources: tuple[str, ...]  # of chance that the band knows
    p_fits: float | None  # that the law holds: lack-of-fit test; None where no fraction was run twice

    @property
    def whole(self) -> tuple[float, float, float]:
        """Score at 100 % of the data, and the ends of its band."""
        return float(self.curve(np.ones(1))[0]), float(self.low[-1]), float(self.high[-1])


def forecast(points: Points) -> Forecast:
    """Fit a curve and say how sure it is.

    The band is from curves fitted anew to scores that chance has moved in three ways: by drawing other test images (the
    bootstrap), other seeds, and other subsets. The last two are normal, with variances measured between runs of one
    fraction; drawing anew from two or three seeds, as a plain bootstrap would, knows half or two thirds of them. A
    subset's chance is shared by the fractions that hold it, for they are nested. Where each fraction was run once,
    what runs miss the curve by tells how much chance there is, as far as so few can: simulated with 4, 5, 6 and 8
    fractions the band then holds the truth at 100 % in 97 to 99, 95 to 96, 96 to 98 and 94 to 96 % of draws.

    Raises:
        UserError: there are fewer than four fractions.
    """
    if (count := len(set(points.fractions.tolist()))) < LEAST:
        raise UserError(f"A scaling curve needs {LEAST} values of data.fraction, and there are {count}: not fitted.")
    curve = fit(points.fractions, points.scores)
    moved, sources = _moved(points, points.scores - curve(points.fractions))
    grid = np.geomspace(points.fractions.min(), 1, 60)
    curves = fit(points.fractions, moved)(grid)
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    residuals = points.scores - curve(points.fractions)
    return Forecast(curve, grid, low, high, residuals, sources, _lack_of_fit(residuals, points.fractions))


def fit(fractions: FloatArray, scores: FloatArray) -> Curve:
    """Least squares for scores `[..., runs]`, with b >= 0 and c between 0.02 and 4.

    For a given c the law is linear in a and b (Golub and Pereyra 1973): these are solved, and c is the best of 500.
    There is no start to choose, and a thousand fits are one product of matrices.
    """
    least = fractions.min()
    powers = (fractions / least) ** -_EXPONENTS[:, None]  # [exponents, runs], all within (0, 1]
    centred = powers - powers.mean(axis=1, keepdims=True)
    mean = scores.mean(axis=-1)
    slopes = (scores - mean[..., None]) @ centred.T  # [..., exponents]
    squares = (centred**2).sum(axis=1)
    scales = np.maximum(-slopes / squares, 0.0)
    best = np.argmin(2 * scales * slopes + scales**2 * squares, axis=-1)
    scale = np.take_along_axis(scales, best[..., None], axis=-1)[..., 0]
    c = _EXPONENTS[best]
    return Curve(np.asarray(mean + scale * powers.mean(axis=1)[best]), np.asarray(scale * least**c), np.asarray(c))


def _lack_of_fit(residuals: FloatArray, fractions: FloatArray) -> float | None:
    """p-value of the F test: what fractions' means miss the curve by, against the chance between runs of a fraction."""
    groups = [residuals[fractions == fraction] for fraction in np.unique(fractions)]
    freedom = len(residuals) - len(groups)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    if not within:
        return None
    missed = sum(group.size * float(group.mean()) ** 2 for group in groups)
    return float(stats.f.sf(missed / (len(groups) - 3) / (within / freedom), len(groups) - 3, freedom))


def _moved(points: Points, residuals: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    """Scores `[resamples, runs]` as they might have been, and the sources of chance in them."""
    draw = np.random.default_rng(SEED)
    resamples = len(points.draws)
    of_seed, of_subset, rest, freedom = _variances(points)
    scores = points.scores + _common_to_fractions(points.draws - points.scores, points.fractions)
    if not freedom:
        left = len(residuals) - 3  # of the parameters
        missed = np.sqrt(float((residuals**2).sum()) / draw.chisquare(left, size=(resamples, 1)))
        return scores + missed * draw.standard_normal(scores.shape), ("test images", "what the runs miss the curve by")
    noise = np.sqrt(rest) * draw.standard_normal(scores.shape)
    groups = np.unique(np.column_stack([points.fractions, points.seeds]), axis=0, return_inverse=True)[1].ravel()
    noise += np.sqrt(of_seed) * draw.standard_normal((resamples, groups.max() + 1))[:, groups]
    noise += np.sqrt(of_subset) * _nested(points, draw)
    # The variances are themselves estimates: as in Student's t, their error widens the band.
    noise *= np.sqrt(freedom / draw.chisquare(freedom, size=(resamples, 1)))
    varied = {"seeds": points.seeds, "subsets": points.subset_seeds}
    return scores + noise, ("test images", *(name for name, labels in varied.items() if len(set(labels)) > 1))


def _nested(points: Points, draw: np.random.Generator) -> FloatArray:
    """What subsets make of scores, `[resamples, runs]` with variance 1: those of a seed hold one another.

    Means over nested draws without replacement go together as a Brownian bridge does; all of the data is no draw.
    """
    moves = np.zeros_like(points.draws)
    parts = np.unique(points.fractions[points.fractions < 1])
    for seed in sorted(set(points.subset_seeds)):
        steps = np.sqrt(np.diff(parts / (1 - parts), prepend=0.0))  # a bridge is a motion in this time
        walks = np.cumsum(steps * draw.standard_normal((len(moves), len(parts))), axis=1)
        for place, part in enumerate(parts):
            alike = (points.fractions == part) & (np.asarray(points.subset_seeds) == seed)
            moves[:, alike] = (walks[:, place] / np.sqrt(part / (1 - part)))[:, None]
    return moves


def _common_to_fractions(moves: FloatArray, fractions: FloatArray) -> FloatArray:
    """What other images do to all runs of a fraction; what they do to one run alone is part of its seed's chance."""
    moved = np.empty_like(moves)
    for fraction in np.unique(fractions):
        alike = fractions == fraction
        moved[:, alike] = moves[:, alike].mean(axis=1, keepdims=True)
    return moved


def _variances(points: Points) -> tuple[float, float, float, int]:
    """Of seeds, of subsets, of what is left; and degrees of freedom. Half the mean square of differences within pairs.

    Two runs of a fraction that share the subset differ by seed and rest; that share the seed, by subset and rest; that
    share neither, by all three.
    """
    found: dict[tuple[bool, bool], list[float]] = {}
    runs = range(len(points.scores))
    for one, other in ((i, j) for i in runs for j in runs[:i] if points.fractions[i] == points.fractions[j]):
        kind = points.seeds[one] != points.seeds[other], points.subset_seeds[one] != points.subset_seeds[other]
        found.setdefault(kind, []).append(float((points.scores[one] - points.scores[other]) ** 2) / 2)
    pairs = {kind: float(np.mean(values)) for kind, values in found.items()}
    freedom = len(runs) - len(set(points.fractions.tolist()))
    if {(True, False), (False, True), (True, True)} <= set(pairs):
        both, seed_only, subset_only = pairs[True, True], pairs[True, False], pairs[False, True]
        of_seed, of_subset = max(both - subset_only, 0.0), max(both - seed_only, 0.0)
        return of_seed, of_subset, max(both - of_seed - of_subset, 0.0), freedom
    return 0.0, 0.0, max(pairs.values(), default=0.0), freedom
