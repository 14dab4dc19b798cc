"""Concepts by systems that did not learn: one set for all images, and a vote of the nearest training images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from torch import Tensor

from rococap.models.thresholds import FloatArray, choose, scores
from rococap.types import Labels, codes, listed

_MAJORITY = 0.5  # where nothing tells better
_CHUNK = 1024  # images at once


def best_constant(gold: Sequence[str]) -> str:
    """The set with the best `concept_f1` for all images, concept by concept as long as one adds to it.

    Args:
        gold: the concepts of each image, as a text.
    """
    sets = [codes(text) - {""} for text in gold]
    names = sorted(set().union(*sets))
    has = _matrix(sets, names)
    sizes = np.array([len(each) for each in sets])
    chosen: list[int] = []
    right, best = np.zeros_like(sizes), float(np.mean(sizes == 0))
    while len(chosen) < len(names):
        # An image that has a concept scores 2 (right + 1) / (said + size) with it, and 2 right / (said + size) without.
        share = 2 / (len(chosen) + 1 + sizes) * (sizes > 0)
        means = ((right * share).sum() + np.asarray(has.T @ share)) / len(sets)
        means[chosen] = -1
        if means.max() <= best:
            break
        chosen.append(int(means.argmax()))
        best = float(means.max())
        right = right + has[:, [chosen[-1]]].toarray().ravel().astype(np.int64)
    assert np.isclose(best, scores(right, np.full_like(sizes, len(chosen)), sizes).mean())
    return listed(names[number] for number in chosen)


def neighbour_votes(
    asked: Tensor, train: Tensor, gold: Sequence[str], labels: Labels, count: int
) -> npt.NDArray[np.float32]:
    """Of the training images that are most like each image, the share that have each label: `[images, labels]`.

    Args:
        asked, train: directions of features, [images, width].
        gold: the concepts of each training image, as a text.
        count: neighbours of an image.
    """
    has = _matrix([codes(text) & labels.numbers.keys() for text in gold], list(labels.cuis))
    count = min(count, len(train))
    nearest = torch.cat([(rows @ train.T).topk(count).indices for rows in torch.split(asked, _CHUNK)]).numpy()
    rows = np.repeat(np.arange(len(nearest)), count)
    chosen = csr_array((np.full(nearest.size, 1 / count), (rows, nearest.ravel())), shape=(len(asked), len(train)))
    votes: FloatArray = (chosen @ has).toarray()
    return votes.astype(np.float32)


def above_best(
    votes: npt.NDArray[np.float32], judged: npt.NDArray[np.float32], gold: Sequence[str], labels: Labels
) -> list[str]:
    """The concepts with enough votes: as many as give the best score on other images, or half where those have none.

    Args:
        judged, gold: votes and concepts of these others.
    """
    threshold = choose(judged, gold, labels, per_class=False)[0] if gold else _MAJORITY
    return [listed(labels.cuis[number] for number in np.flatnonzero(row >= threshold)) for row in votes]


def _matrix(sets: Sequence[set[str]], names: Sequence[str]) -> csr_array:
    numbers = {name: number for number, name in enumerate(names)}
    columns = [numbers[name] for each in sets for name in sorted(each)]
    starts = np.cumsum([0, *map(len, sets)])
    return csr_array((np.ones(len(columns)), columns, starts), shape=(len(sets), len(names)))
