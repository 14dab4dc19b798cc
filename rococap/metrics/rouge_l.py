"""ROUGE-L (Lin 2004) with beta 1.2, as pycocoevalcap computes it."""

from __future__ import annotations

import numpy as np

from rococap.metrics.base import FloatArray, IntArray, MeanMetric, with_counts
from rococap.metrics.ptb import PACKAGES, PTB, SCORERS
from rococap.metrics.text import Texts


class RougeL(MeanMetric):
    """Longest common subsequence; over several references the best precision and the best recall."""

    names = ("rouge_l",)
    tokenizer = PTB
    packages = PACKAGES
    scorers = SCORERS

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2]`, each score by pycocoevalcap."""
        from pycocoevalcap.rouge.rouge import Rouge

        score = Rouge().calc_score
        rows = [
            score([texts.predictions[index]], references)
            for order in orders
            for index, references in zip(order, texts.references, strict=True)
        ]
        return with_counts(np.array(rows, dtype=np.float64).reshape(orders.shape))
