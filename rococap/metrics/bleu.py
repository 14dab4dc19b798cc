"""BLEU-1 to BLEU-4 (Papineni et al. 2002) as pycocoevalcap computes them."""

from __future__ import annotations

import numpy as np

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
        """`[orders, samples, 10]`, counted by pycocoevalcap."""
        from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

        cooked = [cook_refs(references) for references in texts.references]
        rows = []
        for order in orders:
            for index, references in zip(order, cooked, strict=True):
                counts = cook_test(texts.predictions[index], references, eff="closest")
                rows.append((counts["testlen"], counts["reflen"], *counts["guess"], *counts["correct"]))
        return np.array(rows, dtype=np.float64).reshape(*orders.shape, 10)

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., 10] -> [..., 4]`: `BleuScorer.compute_score`, its small constants included."""
        length, reference, guessed, right = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
        small, tiny = 1e-9, 1e-15
        precision = np.cumprod((right + tiny) / (guessed + small), axis=-1)
        ratio = (length + tiny) / (reference + small)
        brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
        return np.asarray(precision ** (1 / np.arange(1, 5)) * brevity[..., None])
