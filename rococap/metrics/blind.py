"""What a model would score without looking: its captions, given to the wrong images."""

from __future__ import annotations

import numpy as np

from rococap.metrics.base import FloatArray, IntArray

PERMUTATIONS = 20
SEED = 0


def orders(images: int) -> IntArray:
    """`[1 + 20, images]`: the true order, then 20 seeded permutations that leave no caption with its image.

    One image has no other to swap with: the true order comes alone, `[1, 1]`.
    """
    draw = np.random.default_rng(SEED)
    true = np.arange(images)
    wrong = [_derangement(draw, true) for _ in range(PERMUTATIONS if images > 1 else 0)]
    return np.stack([true, *wrong])


def split(scores: FloatArray) -> dict[str, FloatArray]:
    """`[..., 1 + 20, names]` as score, mean blind score and gain, each `[..., names]`, by suffix of a metric's name."""
    score, wrong = scores[..., 0, :], scores[..., 1:, :]
    if not wrong.shape[-2]:
        return {"": score}
    blind = wrong.mean(axis=-2)
    return {"": score, "_blind": blind, "_gain": score - blind}


def _derangement(draw: np.random.Generator, true: IntArray) -> IntArray:
    """Each of them equally likely; a random permutation is one in e = 2.7 draws."""
    order = draw.permutation(true)
    while (order == true).any():
        order = draw.permutation(true)
    return order
