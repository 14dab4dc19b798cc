"""Parts of a split in which captions may be better or worse: by modality, body region, length, licence and source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from rococap.data.licences import licences
from rococap.metrics.base import IntArray
from rococap.types import Prediction

LEAST = 20  # images; scores of fewer say more of these images than of their kind

# What radiologists noted of ROCOv2's images, by CUI; regions mostly of X-rays. The phantom has head and neck too.
MODALITIES = {
    "C0040405": "CT",
    "C1306645": "X-ray",
    "C0024485": "MRI",
    "C0041618": "ultrasound",
    "C0002978": "angiography",
    "C0032743": "PET",
    "C1699633": "PET/CT",
}
REGIONS = {
    "C0037303": "skull",
    "C0018670": "head",
    "C0027530": "neck",
    "C0037949": "spine",
    "C0817096": "chest",
    "C0006141": "breast",
    "C0000726": "abdomen",
    "C0030797": "pelvis",
    "C1140618": "upper extremity",
    "C0023216": "lower extremity",
}
WORDS = (10, 20, 40)  # the longest caption of each part but the last


def slices(predictions: Sequence[Prediction]) -> dict[str, IntArray]:
    """Which of the images each part holds, by a name such as `modality=CT`, of any size; kinds of part one by one.

    Modality and region are from concepts that a person assigned. Length is that of the first reference, in words;
    licence is from the attribution; source is what an id says before its number. An image may be in several parts of
    a kind, or in none. What all images share is no part.
    """
    parts: dict[str, list[int]] = {}
    for index, prediction in enumerate(predictions):
        for name in _names(prediction):
            parts.setdefault(name, []).append(index)
    kept = {name: np.array(found) for name, found in parts.items() if len(found) < len(predictions)}
    order = {kind: place for place, kind in enumerate(("modality", "region", "words", "licence", "source"))}
    return dict(sorted(kept.items(), key=lambda part: (order[kind_of(part[0])], *_by_number(part[0]))))


def within(predictions: Sequence[Prediction], name: str) -> IntArray:
    """Which of the images a part holds, be it all of them; `all` holds all."""
    return np.array([i for i, each in enumerate(predictions) if name == "all" or name in _names(each)], dtype=np.int64)


def kind_of(name: str) -> str:
    """`modality` of `modality=CT`."""
    return name.partition("=")[0]


def _names(prediction: Prediction) -> Iterator[str]:
    manual = {concept.cui for concept in prediction.concepts if concept.manual}
    yield from (f"modality={name}" for cui, name in MODALITIES.items() if cui in manual)
    yield from (f"region={name}" for cui, name in REGIONS.items() if cui in manual)
    if prediction.references:
        yield f"words={_length(len(prediction.references[0].split()))}"
    if named := licences(prediction.attribution):
        yield f"licence={' or '.join(named)}"
    if source := re.sub(r"[\d\W_]+$", "", prediction.id):
        yield f"source={source}"


def _length(words: int) -> str:
    edges = (0, *WORDS)
    place = sum(words > edge for edge in WORDS)
    return f"{edges[place] + 1}-{edges[place + 1]}" if place < len(WORDS) else f"{edges[-1] + 1} or more"


def _by_number(name: str) -> tuple[int, str]:
    digits = re.match(r"words=(\d+)", name)
    return (int(digits[1]) if digits else 0, name)
