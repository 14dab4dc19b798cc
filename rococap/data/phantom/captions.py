"""Captions of phantom images: the facts in varied phrasing, as radiology writes them."""

from __future__ import annotations

import numpy as np

from rococap.data.phantom.vocabulary import WORDS, Facts

STUDIES = {
    "ct": ("Axial CT of the head", "CT scan of the brain", "Contrast-enhanced head CT", "Axial computed tomography"),
    "radiograph": ("Chest radiograph", "Chest X-ray", "Plain film of the chest", "Posteroanterior chest radiograph"),
    "ultrasound": ("Ultrasound of the neck", "Thyroid ultrasound", "Transverse sonogram", "Neck ultrasonography"),
}
NOTHING = (
    "{study} without abnormality: no focal lesion.",
    "Normal {study}.",
    "{study} with no abnormality.",
    "Unremarkable {study}.",
    "{study} shows no focal lesion.",
)
FINDING = (
    "{study} shows {what} {where}.",
    "{study} demonstrating {what} {where}.",
    "{study} reveals {what} {where}.",
    "{study}: {what} {where}.",
    "{what} {where} on {study}.",
    "There {is_} {what} {where} on {study}.",
    "{study} with {what} {where}.",
)
REGIONS = {"ct": "{place} lobe", "radiograph": "{place} zone", "ultrasound": "{place} part"}
ORGANS = {"ct": "brain", "radiograph": "lung", "ultrasound": "thyroid lobe"}


def write_caption(facts: Facts, rng: np.random.Generator) -> str:
    """A caption of one sentence that states every fact and no other."""

    def pick(choices: tuple[str, ...]) -> str:
        return choices[rng.integers(len(choices))]

    modality, study = facts["modality"], pick(STUDIES[facts["modality"]])
    if facts["kind"] == "none":
        return _sentence(pick(NOTHING), study=study)
    singular, plural = WORDS["kind"][facts["kind"]]
    size = pick(WORDS["size"][facts["size"]])
    if facts["count"] == "one":
        what = f"{pick(('a', 'a single', 'one', 'a solitary'))} {size} {singular}"
    else:
        what = f"{pick({'two': ('two', 'a pair of'), 'three': ('three',)}[facts['count']])} {size} {plural}"
    place, side, organ = pick(WORDS["place"][facts["place"]]), facts["side"], ORGANS[modality]
    region = REGIONS[modality].format(place=place)
    where = pick((f"in the {side} {region}", f"in the {region} of the {side} {organ}", f"on the {side}, {region}"))
    return _sentence(pick(FINDING), study=study, what=what, where=where, is_="is" if facts["count"] == "one" else "are")


def _sentence(template: str, **parts: str) -> str:
    """Fill in a template; a study's first letter is a capital only at the start, unless it is an abbreviation."""
    study = parts["study"]
    if not template.startswith("{study}") and not study.startswith("CT"):
        parts["study"] = study[0].lower() + study[1:]
    text = template.format(**parts)
    return text[0].upper() + text[1:]
