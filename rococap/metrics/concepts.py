"""Concepts detected in images, scored as ImageCLEFmedical Caption scores them, and so that rare ones show.

`concept_f1` and `concept_f1_manual` equal the primary and the secondary score of `ConceptEvaluator` in
github.com/taubsity/clef-caption-evaluation-2026, whose codes are compared in upper case and without blanks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from rococap.metrics.base import FloatArray, IntArray, Metric
from rococap.metrics.text import Texts
from rococap.types import Concept, codes

# Modalities and body regions: the secondary score looks at no other concept, on either side.
MANUAL = frozenset(
    {
        *("C0002978", "C0040405", "C0024485", "C0032743", "C0041618", "C1306645", "C1140618", "C0037949"),
        *("C0030797", "C0023216", "C0037303", "C0817096", "C0006141", "C0000726", "C0920367"),
    }
)
# By how many images a concept is of: the name's end, the least and the most.
SUPPORTS: dict[str, tuple[int, float]] = {
    "1_10": (1, 10),
    "11_100": (11, 100),
    "101_1000": (101, 1000),
    "over_1000": (1001, np.inf),
}


class _Codes:
    name = "case:uc|tok:cui"

    def __call__(self, texts: Texts) -> Texts:
        return texts


class Concepts(Metric):
    """How well sets of concepts are detected; a prediction is a text such as `C0040405;C0817096`.

    concept_f1         the F1 of an image's two sets, mean over images. An image without concepts scores 1 if none is
                       predicted, else 0
    concept_f1_manual  the same of the concepts that a person assigned, as far as both are of the 15 in `MANUAL`;
                       images that are left without any are left out
    concept_f1_empty   of the images without concepts, the share for which none is predicted
    concept_f1_micro   F1 over all pairs of image and concept
    concept_f1_macro   F1 of each concept over images, mean over the concepts that these images have
    concept_f1_1_10    the same over those that 1 to 10 of the images have; likewise 11_100, 101_1000, over_1000

    The last five hang on all images together. Their statistics add up to the score, and change with a resample of the
    images as its linear expansion does (the delta method): each image's is the score plus its influence. What a concept
    of one or two images would be on others these do not tell: simulated (80 draws of 300 images, most of 150 concepts
    rare), 95 % intervals of concept_f1_1_10 held the truth in 46 % and of concept_f1_macro in 51 % of draws, those of
    the more frequent ones in 94 and 95 %. The former two have none.
    """

    names = (
        "concept_f1",
        "concept_f1_manual",
        "concept_f1_empty",
        "concept_f1_micro",
        "concept_f1_macro",
        "concept_f1_1_10",
        "concept_f1_11_100",
        "concept_f1_101_1000",
        "concept_f1_over_1000",
    )
    answers = "concepts"
    truth = "concepts"
    tokenizer = _Codes()
    partial = names[1:]
    of_whole = names[4:]
    unsure = names[4:6]

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 14]`: see `combine`."""
        sets = Sets.of(texts.predictions, texts.concepts)
        return np.stack([np.column_stack([*_of_images(sets, order), *_of_whole(sets, order)]) for order in orders])

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., 14] -> [..., 9]`; NaN where a sum is over nothing.

        Numerators and denominators of the first four scores; the images, and the statistics of the last five.
        """
        numerators, denominators = sums[..., 0:8:2], sums[..., 1:8:2]
        means = np.divide(numerators, denominators, out=np.full_like(numerators, np.nan), where=denominators > 0)
        return np.concatenate([means, sums[..., 9:] / sums[..., 8:9]], axis=-1)


@dataclass(frozen=True)
class Sets:
    """Predicted and gold concepts of images, as matrices of 0 and 1: `[images, codes]`.

    Attributes:
        codes: of the columns; the first is the empty code, which an empty list holds.
    """

    codes: tuple[str, ...]
    predicted: csr_array
    gold: csr_array
    manual: csr_array

    @staticmethod
    def of(predictions: Sequence[str], concepts: Sequence[Sequence[Concept]]) -> Sets:
        """Of texts, and of what is known of their images."""
        said = [codes(text) for text in predictions]
        gold = [gold_codes(known) for known in concepts]
        manual = [{code for code in _written(c.cui for c in known if c.manual) if code} for known in concepts]
        every = ("", *sorted(set().union(*said, *gold, *manual) - {""}))
        columns = {code: column for column, code in enumerate(every)}
        return Sets(every, *(_matrix(sets, columns) for sets in (said, gold, manual)))

    @cached_property
    def allowed(self) -> FloatArray:
        """1 for the codes of `MANUAL`, `[codes]`."""
        return np.array([code in MANUAL for code in self.codes], dtype=np.float64)

    @cached_property
    def named(self) -> FloatArray:
        """1 for all but the empty code, `[codes]`."""
        return np.array([bool(code) for code in self.codes], dtype=np.float64)

    @cached_property
    def support(self) -> FloatArray:
        """Images that have each concept, `[codes]`; 0 for the empty code."""
        return _counts(self.gold) * self.named


def gold_codes(concepts: Sequence[Concept]) -> set[str]:
    """Those of an image, written as they are compared; the empty code where it has none."""
    return _written(concept.cui for concept in concepts if concept.listed) or {""}


def _written(cuis: Iterable[str]) -> set[str]:
    return {cui.strip().upper() for cui in cuis}


def _matrix(sets: Sequence[set[str]], columns: dict[str, int]) -> csr_array:
    indices = [columns[code] for names in sets for code in sorted(names)]
    starts = np.cumsum([0, *map(len, sets)])
    return csr_array((np.ones(len(indices)), indices, starts), shape=(len(sets), len(columns)))


def _counts(matrix: csr_array) -> FloatArray:
    return np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()


def _of_images(sets: Sets, order: IntArray) -> list[FloatArray]:
    """The first eight statistics, `[samples]` each."""
    predicted = sets.predicted[order]
    right = predicted.multiply(sets.gold)
    one = np.ones(len(order))
    both = (predicted + sets.gold) @ np.ones(len(sets.codes))
    f1 = 2 * (right @ np.ones(len(sets.codes))) / both  # never of nothing: an empty list holds the empty code
    manual_gold = sets.manual @ sets.allowed
    manual_both = predicted @ sets.allowed + manual_gold
    manual_right = predicted.multiply(sets.manual) @ sets.allowed
    manual_f1 = np.where(manual_gold > 0, 2 * manual_right / np.maximum(manual_both, 1), 0.0)
    empty = (sets.gold @ sets.named == 0).astype(np.float64)
    silent = empty * (predicted @ sets.named == 0)
    micro = 2 * (right @ sets.named), (predicted + sets.gold) @ sets.named
    return [f1, one, manual_f1, (manual_gold > 0).astype(np.float64), silent, empty, *micro]


def _of_whole(sets: Sets, order: IntArray) -> list[FloatArray]:
    """The last six statistics, `[samples]` each: ones, and of each group of concepts the mean of their F1.

    The F1 of a concept is 2 r / (p + g), of how often it is right, predicted and gold; the influence of an image on it
    is (2 r_i - F1 (p_i + g_i)) / (p + g).
    """
    predicted = sets.predicted[order]
    right = predicted.multiply(sets.gold)
    both = np.maximum(_counts(sets.predicted) + _counts(sets.gold), 1)
    f1 = 2 * _counts(right) / both
    found = [np.ones(len(order))]
    for least, most in [(1, np.inf), *SUPPORTS.values()]:
        group = (sets.support >= least) & (sets.support <= most)
        if not group.any():
            found.append(np.full(len(order), np.nan))
            continue
        share = np.where(group, 1 / both, 0.0) / group.sum()
        influence = right @ (2 * share) - (predicted + sets.gold) @ (f1 * share)
        found.append(f1[group].mean() + len(order) * influence)
    return found


def of_each(sets: Sets) -> dict[str, dict[str, Any]]:
    """Of each code but the empty one: its support, how often it is predicted, and how often rightly."""
    right = _counts(sets.predicted.multiply(sets.gold))
    rows = zip(sets.codes, sets.support, _counts(sets.predicted), right, strict=True)
    return {
        code: {"support": int(gold), "predicted": int(said), "right": int(hits)}
        for code, gold, said, hits in rows
        if code
    }
