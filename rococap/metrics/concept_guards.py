"""Signs of a detector gone wrong that its score does not show, from its sets of concepts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rococap.metrics.concepts import gold_codes
from rococap.metrics.guards import Guard
from rococap.types import Concept, codes

_COMMON = 0.2  # share of images with one set, from which on it may be suspicious


@dataclass(frozen=True, slots=True)
class ConceptWatch:
    """All guards of a detector's sets.

    Attributes:
        known: the concepts that it can detect; what images have beyond them counts as missed.
    """

    known: Collection[str]

    def __call__(
        self, texts: Sequence[str], captions: Sequence[Sequence[str]], concepts: Sequence[Sequence[Concept]]
    ) -> list[Guard]:
        """Every guard that can be had: where no image has a concept, only whether sets are empty or all the same."""
        said = [codes(text) - {""} for text in texts]
        gold = [gold_codes(of_image) - {""} for of_image in concepts]
        guards = [empty_share(said, gold), common_set(said, gold)]
        if any(gold):
            guards += [set_ratio(said, gold), unknown_share(gold, self.known)]
        return guards


def empty_share(said: Sequence[set[str]], gold: Sequence[set[str]]) -> Guard:
    """Share of images for which nothing is predicted; and what is said of those that have no concept."""
    value = sum(not names for names in said) / len(said)
    true = sum(not names for names in gold) / len(gold)
    meaning = f"nothing is predicted for {value:.0%} of the images, and {true:.0%} have no concept"
    return Guard("empty_share", value, meaning if value > true + 0.1 else "")


def common_set(said: Sequence[set[str]], gold: Sequence[set[str]]) -> Guard:
    """Share of images that are given the set which most of them are given."""
    value, true = (Counter(map(frozenset, sets)).most_common(1)[0][1] / len(sets) for sets in (said, gold))
    meaning = f"{value:.0%} of the images get the same concepts: the model may not look at the image"
    return Guard("common_set", value, meaning if value > max(_COMMON, 2 * true) else "")


def set_ratio(said: Sequence[set[str]], gold: Sequence[set[str]]) -> Guard:
    """Predicted concepts over those that there are."""
    value = sum(map(len, said)) / sum(map(len, gold))
    meaning = f"{value:.2f} times as many concepts are predicted as there are"
    return Guard("set_ratio", value, "" if 0.5 <= value <= 2 else meaning)


def unknown_share(gold: Sequence[set[str]], known: Collection[str]) -> Guard:
    """Of the images' concepts, those that training never had: they count as missed."""
    missed = [names - set(known) for names in gold]
    value = sum(map(len, missed)) / sum(map(len, gold))
    kinds, images = len(set().union(*missed)), sum(bool(names) for names in missed)
    meaning = f"{kinds:,} concepts of {images:,} images are no labels of this run: they count as missed"
    return Guard("unknown_share", value, meaning if kinds else "")


def below_others(score: float, others: dict[str, float]) -> Guard:
    """The score over that of the best system which learns nothing.

    Args:
        others: `concept_f1` of what does not learn, by what it is.
    """
    name, best = max(others.items(), key=lambda other: other[1])
    meaning = f"concept_f1 is {score:.3f}, and {name} have {best:.3f}: the head reads less than the tower sees"
    return Guard("over_untrained", score - best, meaning if score <= best and score < 1 else "")
