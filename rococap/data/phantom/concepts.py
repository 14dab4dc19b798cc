"""Concepts of phantom images: what radiologists note of each image, what its caption states, and findings in places.

There are 84: modality and body region, noted by hand in ROCOv2; each value of each other fact; and 54 that are rare, a
kind of finding on a side in a place. Codes that begin with C9 are no concepts of UMLS.
"""

from __future__ import annotations

from functools import cache

from rococap.data.phantom.findings import KINDS
from rococap.data.phantom.vocabulary import PLACES, WORDS, Facts
from rococap.types import Concept

# With their UMLS names.
STUDIES = {
    "ct": (Concept("C0040405", "X-Ray Computed Tomography", True), Concept("C0018670", "Head", True)),
    "radiograph": (Concept("C1306645", "Plain x-ray", True), Concept("C0817096", "Chest", True)),
    "ultrasound": (Concept("C0041618", "Ultrasonography", True), Concept("C0027530", "Neck", True)),
}
SIDES = ("right", "left")
COUNTS = {"one": "one finding", "two": "two findings", "three": "three findings"}


def concepts(facts: Facts) -> tuple[Concept, ...]:
    """Those of an image, by its facts; of a normal one there is no more than that it is normal."""
    stated = [_values()[fact, value] for fact, value in facts.items() if fact != "modality"]
    joint = () if facts["kind"] == "none" else (_joint()[_place(facts)],)
    return (*STUDIES[facts["modality"]], *stated, *joint)


@cache
def _values() -> dict[tuple[str, str], Concept]:
    """By fact and value, of all but modalities."""
    pairs = [(fact, value) for fact, values in WORDS.items() if fact != "modality" for value in values]
    return {
        (fact, value): Concept(f"C90000{number:02}", COUNTS.get(value, WORDS[fact][value][0]))
        for number, (fact, value) in enumerate(pairs)
    }


@cache
def _joint() -> dict[tuple[str, ...], Concept]:
    """By modality, kind, side and place."""
    found = [
        (modality, kind, side, place)
        for modality, places in PLACES.items()
        for kind in KINDS[modality]
        for side in SIDES
        for place in places
    ]
    return {key: Concept(f"C91000{number:02}", " ".join(key)) for number, key in enumerate(found)}


def _place(facts: Facts) -> tuple[str, ...]:
    return tuple(facts[name] for name in ("modality", "kind", "side", "place"))
