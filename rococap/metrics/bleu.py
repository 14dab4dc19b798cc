"""BLEU-1 to BLEU-4 (Papineni et al. 2002) as pycocoevalcap computes them."""

from __future__ import annotations

from itertools import chain

import numpy as np

from rococap.metrics import ngrams
from rococap.metrics.base import FloatArray, IntArray, Metric
from rococap.metrics.ptb import PACKAGES, PTB, SCORERS
from rococap.metrics.text import Texts


class Bleu(Metric):
    """Statistics: length, length of the closest reference, n-grams guessed (4), n-grams right (4)."""

    names = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
    tokenizer = PTB
    packages = PACKAGES
    scorers = SCORERS

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 10]`: `bleu_scorer.cook_test` on all pairs at once."""
        images, groups = len(texts), texts.groups
        counted, words = ngrams.count([*texts.predictions, *chain.from_iterable(texts.references)])
        predictions = counted.part(0, images)
        references = counted.part(images, len(counted)).grouped(groups)
        result = np.empty((*orders.shape, 10))
        for order, rows in zip(orders, result, strict=True):
            length = words[:images][order]
            rows[:, 0], rows[:, 1] = length, _closest(length, words[images:], groups)
            rows[:, 2:6] = np.maximum(0, length[:, None] - np.arange(4))
            pair, ours, theirs = ngrams.shared(predictions, order, references)
            right = np.minimum(predictions.counts[ours], references.counts[theirs])
            rows[:, 6:10] = counted.by_size(pair, predictions.grams[ours], right, images)
        return result

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., 10] -> [..., 4]`: `BleuScorer.compute_score`, its small constants included."""
        length, reference, guessed, right = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
        small, tiny = 1e-9, 1e-15
        precision = np.cumprod((right + tiny) / (guessed + small), axis=-1)
        ratio = (length + tiny) / (reference + small)
        brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
        return np.asarray(precision ** (1 / np.arange(1, 5)) * brevity[..., None])

    def perfect(self, sums: FloatArray, samples: int) -> FloatArray:
        """`[..., 10]`: as long as a mean reference, and all of its n-grams right."""
        length = sums[..., 1:2] / samples
        ngrams_in_it = np.maximum(0, length - np.arange(4))
        return np.concatenate([length, length, ngrams_in_it, ngrams_in_it], axis=-1)


def _closest(lengths: IntArray, references: IntArray, groups: IntArray) -> IntArray:
    """`[images]`: of each image's reference lengths the closest to `lengths [images]`, of two the shorter."""
    distance = np.abs(references - lengths[groups])
    first = np.lexsort((references, distance, groups))[np.searchsorted(groups, np.arange(len(lengths)))]
    return np.asarray(references[first])
