"""ROUGE-L (Lin 2004) with beta 1.2, as pycocoevalcap computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from rococap.metrics.base import FloatArray, IntArray, MeanMetric, with_counts
from rococap.metrics.ptb import PACKAGES, PTB, SCORERS
from rococap.metrics.text import Texts

_BETA = 1.2


class RougeL(MeanMetric):
    """Longest common subsequence; over several references the best precision and the best recall."""

    names = ("rouge_l",)
    tokenizer = PTB
    packages = PACKAGES
    scorers = SCORERS

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2]`. As in pycocoevalcap an empty text has one word, the empty one."""
        groups = texts.groups
        predictions = [text.split(" ") for text in texts.predictions]
        references = [text.split(" ") for text in chain.from_iterable(texts.references)]
        places = [_places(words) for words in references]
        length = np.array([len(words) for words in predictions])
        theirs = np.array([len(words) for words in references])
        starts = np.searchsorted(groups, np.arange(len(texts)))
        result = np.empty(orders.shape)
        for order, row in zip(orders, result, strict=True):
            captions = order[groups]  # of the pairs (caption, reference)
            pairs = zip(captions, places, strict=True)
            common = np.array([_common(predictions[caption], place) for caption, place in pairs])
            precision = np.maximum.reduceat(common / length[captions], starts)
            recall = np.maximum.reduceat(common / theirs, starts)
            total = recall + _BETA**2 * precision
            row[:] = np.divide((1 + _BETA**2) * precision * recall, total, out=np.zeros(len(row)), where=total > 0)
        return with_counts(result)


def _places(words: Sequence[str]) -> dict[str, int]:
    """Of each word a number whose bits are its places in the text."""
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    return places


def _common(words: Sequence[str], places: Mapping[str, int]) -> int:
    """Length of the longest common subsequence, a row of its table at a time (Crochemore et al. 2001)."""
    row = 0
    for word in words:
        if word in places:
            grown = row | places[word]
            row = grown & (grown ^ (grown - (row << 1 | 1)))
    return row.bit_count()
