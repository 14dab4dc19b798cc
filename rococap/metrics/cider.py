"""CIDEr (Vedantam et al. 2015), the CIDEr-D variant that pycocoevalcap computes under that name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rococap.metrics.base import FloatArray, IntArray, MeanMetric, with_counts
from rococap.metrics.ptb import PACKAGES, PTB, SCORERS
from rococap.metrics.text import Texts

Ngram = tuple[str, ...]
_SIGMA = 6.0


@dataclass(frozen=True, slots=True)
class _Vector:
    weights: dict[Ngram, float]  # tf-idf of the 1- to 4-grams of one text
    norms: tuple[float, ...]  # of the four parts
    length: int  # in bigrams, as the reference code counts


class Cider(MeanMetric):
    """Cosine of tf-idf vectors, clipped, with a penalty on length. A lone image scores 0: nothing is rare there.

    pycocoevalcap counts n-grams and document frequencies. The similarity is `CiderScorer.compute_cider`'s, taken apart:
    that one weighs both texts of each pair anew, here a text is weighed once for all the pairs it is in.
    """

    names = ("cider",)
    tokenizer = PTB
    packages = PACKAGES
    scorers = SCORERS

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2]`; document frequencies are those of all the references in `texts`."""
        from pycocoevalcap.cider.cider_scorer import CiderScorer

        scorer = CiderScorer(n=4, sigma=_SIGMA)
        for pair in zip(texts.predictions, texts.references, strict=True):
            scorer += pair
        scorer.compute_doc_freq()
        idf = _Idf(scorer.document_frequency, len(texts))
        predictions = [_weigh(counts, idf) for counts in scorer.ctest]
        references = [[_weigh(counts, idf) for counts in group] for group in scorer.crefs]
        rows = [
            sum(_similarity(predictions[index], reference) for reference in group) / len(group)
            for order in orders
            for index, group in zip(order, references, strict=True)
        ]
        return with_counts(np.array(rows, dtype=np.float64).reshape(orders.shape))

    def settings(self, samples: int) -> tuple[str, ...]:
        """The images whose references gave the document frequencies: CIDEr of a part is not that of the whole."""
        return (f"idf:{samples}",)


class _Idf(dict[Ngram, float]):
    """Inverse document frequency; an n-gram that no reference has counts as if one had it."""

    def __init__(self, frequencies: Mapping[Ngram, float], documents: int) -> None:
        self.unseen = math.log(documents)
        super().__init__({ngram: self.unseen - math.log(max(1.0, count)) for ngram, count in frequencies.items()})

    def __missing__(self, ngram: Ngram) -> float:
        return self.unseen


def _weigh(counts: Mapping[Ngram, int], idf: Mapping[Ngram, float]) -> _Vector:
    weights = {ngram: count * idf[ngram] for ngram, count in counts.items()}
    squares = [0.0] * 4
    for ngram, weight in weights.items():
        squares[len(ngram) - 1] += weight**2
    length = sum(count for ngram, count in counts.items() if len(ngram) == 2)
    return _Vector(weights, tuple(map(math.sqrt, squares)), length)


def _similarity(prediction: _Vector, reference: _Vector) -> float:
    """10 x the mean over n of the clipped cosine, times the Gaussian of the difference in length."""
    products = [0.0] * 4
    theirs = reference.weights
    for ngram, weight in prediction.weights.items():
        if ngram in theirs:
            products[len(ngram) - 1] += min(weight, theirs[ngram]) * theirs[ngram]
    norms = zip(products, prediction.norms, reference.norms, strict=True)
    cosines = [product / (ours * other) for product, ours, other in norms if ours and other]
    penalty = math.exp(-((prediction.length - reference.length) ** 2) / (2 * _SIGMA**2))
    return 10 * sum(cosines) / 4 * penalty
