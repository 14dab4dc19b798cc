"""ROUGE-1 (Lin 2004) as ImageCLEFmedical Caption computes it: rouge-score's F without stemming."""

from __future__ import annotations

from itertools import chain

import numpy as np

from rococap.metrics import ngrams
from rococap.metrics.base import FloatArray, IntArray, MeanMetric, with_counts
from rococap.metrics.imageclef import IMAGECLEF, without_text
from rococap.metrics.text import Texts


class Rouge1(MeanMetric):
    """F of the words in common; of several references the best. Two empty texts score 1, as at ImageCLEF.

    Args:
        edition: the year whose code tells what is empty, see `without_text`.
    """

    names = ("rouge_1",)
    tokenizer = IMAGECLEF
    packages = ("rouge-score",)
    scorers = ("rouge-score",)

    def __init__(self, edition: int = 2026) -> None:
        self.edition = edition

    def settings(self, samples: int) -> tuple[str, ...]:
        """The edition."""
        return (f"edition:{self.edition}",)

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2]`; rouge-score splits the words."""
        from rouge_score.tokenize import tokenize

        images, groups = len(texts), texts.groups
        lines = [*texts.predictions, *chain.from_iterable(texts.references)]
        counted, words = ngrams.count([" ".join(tokenize(line, None)) for line in lines], longest=1)
        predictions, references = counted.part(0, images), counted.part(images, len(counted))
        empty = np.array([without_text(line, self.edition) for line in lines])
        starts = np.searchsorted(groups, np.arange(images))
        result = np.empty(orders.shape)
        for order, row in zip(orders, result, strict=True):
            captions = order[groups]  # of the pairs (caption, reference)
            pair, left, right = ngrams.shared(predictions, captions, references)
            common = np.bincount(pair, np.minimum(predictions.counts[left], references.counts[right]), len(groups))
            total = words[:images][captions] + words[images:]  # F is 2 x common / total
            score = np.divide(2 * common, total, out=np.zeros(len(groups)), where=total > 0)
            score[empty[:images][captions] & empty[images:]] = 1
            row[:] = np.maximum.reduceat(score, starts)
        return with_counts(result)
