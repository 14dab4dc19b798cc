"""Concepts named in a caption against those of the image, by a dictionary of names; needs no UMLS licence.

It is not ImageCLEF's concept F1, for which MedCAT reads the captions with all of UMLS's synonyms: here a concept counts
as said only where its one canonical name, as in ROCOv2's cui_mapping.csv, stands in the caption.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from rococap.metrics.base import FloatArray, IntArray, Metric
from rococap.metrics.text import Texts
from rococap.types import Concept, UserError

_WORD = re.compile(r"[^\W_]+")
Dictionary = Mapping[tuple[str, ...], set[str]]  # the words of a name -> the CUIs that have it


class _Words:
    name = "case:lc|punct:no|tok:words"

    def __call__(self, texts: Texts) -> Texts:
        return texts


class ConceptDictionaryF1(Metric):
    """F1 over all images of the concepts found in captions; names are those of all the concepts that were given.

    Statistics: concepts both found and of the image, found, of the image. Concepts without a name are left out. A
    single image with none, of which none are said, scores 1; in a sum over images it counts for nothing.
    """

    names = ("concept_dictionary_f1",)
    tokenizer = _Words()
    truth = "concepts"

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 3]`. Raises UserError where no concept with a name was given."""
        dictionary = build_dictionary(concept for group in texts.concepts for concept in group)
        if not dictionary:
            raise UserError(
                "metrics: concept_dictionary_f1 needs the images' concepts with their names (of cui_mapping.csv), and "
                "there are none.\nLeave it out, or score data that has them."
            )
        said = [find_concepts(prediction, dictionary) for prediction in texts.predictions]
        known = set().union(*dictionary.values())
        true = [{concept.cui for concept in group} & known for group in texts.concepts]
        rows = [
            (len(said[index] & gold), len(said[index]), len(gold))
            for order in orders
            for index, gold in zip(order, true, strict=True)
        ]
        return np.array(rows, dtype=np.float64).reshape(*orders.shape, 3)

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., 3] -> [..., 1]`: twice what is right, over what is found and what there is."""
        both = sums[..., 1] + sums[..., 2]
        return np.where(both > 0, 2 * sums[..., 0] / np.maximum(both, 1), 1.0)[..., None]

    def settings(self, samples: int) -> tuple[str, ...]:
        """The images whose concepts gave the dictionary: with more names, more is found."""
        return (f"dictionary:{samples}",)


def build_dictionary(concepts: Iterable[Concept]) -> Dictionary:
    """The names of concepts, in lower case, as words."""
    names: dict[tuple[str, ...], set[str]] = {}
    for concept in dict.fromkeys(concepts):
        if words := _words(concept.name):
            names.setdefault(words, set()).add(concept.cui)
    return names


def find_concepts(text: str, dictionary: Dictionary) -> set[str]:
    """The CUIs whose names stand in a text as whole words; of names that overlap, the longest from the left."""
    words, found, start = _words(text), set[str](), 0
    longest = max(map(len, dictionary))
    while start < len(words):
        sizes = range(min(longest, len(words) - start), 0, -1)
        size = next((size for size in sizes if words[start : start + size] in dictionary), 0)
        found |= dictionary[words[start : start + size]] if size else set()
        start += size or 1
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))
