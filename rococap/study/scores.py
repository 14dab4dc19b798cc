"""What returned sheets say of the systems: preferences, ratings, and how far readers agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy import stats

from rococap.metrics.base import FloatArray, IntArray
from rococap.metrics.bootstrap import by_group, group_numbers
from rococap.study.agreement import alpha, coincidences
from rococap.study.key import Key
from rococap.study.returned import Answers
from rococap.study.sheet import HIGHEST, PLACE, SCALES
from rococap.study.size import LEVEL, pairs

RESAMPLES = 10_000  # more than a score's: intervals of several pairs together lie far out
SEED = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, whose ends are None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Preference:
    """How often one system was placed before another, of all readings (a reader's of an image); ties count half."""

    first: str
    second: str
    share: Estimate
    wins: int
    ties: int
    losses: int

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out one half."""
        low, high = self.share.low, self.share.high
        return low is not None and high is not None and not low <= 0.5 <= high


@dataclass(frozen=True)
class Outcome:
    """A study's result.

    Attributes:
        ratings: by scale and system.
        agreement: by scale; of one reader there is none. A value is NaN where all ratings are the same.
    """

    readers: tuple[str, ...]
    images: int
    groups: int
    preferences: tuple[Preference, ...]
    ratings: dict[str, dict[str, Estimate]]
    agreement: dict[str, Estimate]


def score(key: Key, answers: Sequence[Answers]) -> Outcome:
    """Unblind, and count.

    Intervals are of a bootstrap over images, those of one patient or article drawn together; the readers are taken as
    they are, so that of other readers they say nothing. Those of preferences hold for all pairs together (Bonferroni).
    Where all images say the same, which no resample can vary, the interval is the exact one of Clopper and Pearson.

    Simulated with two readers and one or two images a patient (1,000 studies each), the interval of one pair holds the
    true share in 95 to 97 % of studies where that is a half (20 and 80 patients), in 96 % where it is 0.7 (40), and in
    92 and 95 % where it is 0.9 (40 and 80).
    """
    of_group = [entry.group for entry in key.entries]
    groups = int(group_numbers(of_group).max()) + 1
    draws = _Draws(of_group)
    told = []
    for first, second in combinations(key.systems, 2):
        outcome = _outcomes(key, answers, first, second)  # [readers, images]
        share = _exact(draws.mean(outcome.mean(axis=0), LEVEL / pairs(len(key.systems))), groups, len(key.systems))
        told.append(Preference(first, second, share, *(int((outcome == value).sum()) for value in (1, 0.5, 0))))
    ratings = {
        scale: {system: draws.mean(_of_system(key, answers, scale, system).mean(axis=0)) for system in key.systems}
        for scale in SCALES
    }
    agreement = {scale: _agreement(key, answers, scale, draws) for scale in (PLACE, *SCALES)} if answers[1:] else {}
    return Outcome(tuple(each.reader for each in answers), len(key.entries), groups, tuple(told), ratings, agreement)


def _of_system(key: Key, answers: Sequence[Answers], scale: str, system: str) -> FloatArray:
    """`[readers, images]`: what a system's caption was given."""
    rows = [system in caption.systems for entry in key.entries for caption in entry.captions]
    return np.stack([each.values[scale][rows] for each in answers])


def _outcomes(key: Key, answers: Sequence[Answers], first: str, second: str) -> FloatArray:
    """`[readers, images]`: 1 where the first was placed before the second, 0.5 beside it, 0 behind it."""
    ours, theirs = (_of_system(key, answers, PLACE, system) for system in (first, second))
    return (np.sign(theirs - ours) + 1) / 2


def _exact(estimate: Estimate, groups: int, systems: int) -> Estimate:
    if groups < 2 or estimate.value not in (0, 1):
        return estimate
    beyond = float((LEVEL / pairs(systems) / 2) ** (1 / groups))
    return Estimate(1, beyond, 1) if estimate.value == 1 else Estimate(0, 0, 1 - beyond)


def _agreement(key: Key, answers: Sequence[Answers], scale: str, draws: _Draws) -> Estimate:
    """Over captions; those of an image are drawn together."""
    values = HIGHEST if scale != PLACE else max(len(entry.captions) for entry in key.entries)
    found = coincidences(np.stack([each.values[scale] for each in answers]), values).reshape(-1, values * values)
    starts = np.cumsum([0, *(len(entry.captions) for entry in key.entries[:-1])])
    by_image = np.add.reduceat(found, starts, axis=0)
    sums = draws.sums(by_image)
    table = (values, values)
    low, high = draws.ends(alpha(sums.reshape(-1, *table)), LEVEL)
    return Estimate(float(alpha(by_image.sum(axis=0).reshape(table))), low, high)


class _Draws:
    """Resamples of images, those of one group together: the same ones for all that is asked."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.groups = groups
        self.count = int(group_numbers(groups).max()) + 1

    @cached_property
    def weights(self) -> IntArray:
        """`[resamples, groups]`: how often each group is drawn."""
        even = np.full(self.count, 1 / self.count)
        return np.random.default_rng(SEED).multinomial(self.count, even, size=RESAMPLES)

    def sums(self, values: FloatArray) -> FloatArray:
        """`[resamples, k]` of an image's `[images, k]`."""
        return np.asarray(self.weights @ by_group(values, self.groups))

    def mean(self, values: FloatArray, level: float = LEVEL) -> Estimate:
        """Of an image's values `[images]`."""
        sums = self.sums(np.stack([values, np.ones_like(values)], axis=1))
        return Estimate(float(values.mean()), *self.ends(sums[:, 0] / sums[:, 1], level))

    def ends(self, drawn: FloatArray, level: float) -> tuple[float | None, float | None]:
        """Of the percentile interval; a bootstrap of n groups is too narrow by the root of 1 - 1/n, as a normal
        distribution is for Student's: the percentiles are taken as far further out.
        """
        drawn = drawn[np.isfinite(drawn)]
        if self.count < 2 or not drawn.size or np.ptp(drawn) < 1e-12:
            return None, None  # no two images differ: how much others would is not known
        wider = np.sqrt(self.count / (self.count - 1)) * stats.t.ppf(level / 2, self.count - 1)
        tail = float(stats.norm.cdf(wider))
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return float(low), float(high)
