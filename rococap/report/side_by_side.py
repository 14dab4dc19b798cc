"""Captions of many runs beside each other, for the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from rococap.compare.comparison import Comparison
from rococap.compare.evidence import SPLIT, listed
from rococap.compare.runs import Run
from rococap.config import build
from rococap.data.image import UnreadableImage, read
from rococap.predictions import read_predictions
from rococap.report.page import picture, template
from rococap.types import LazyImage, Prediction, UserError

COUNT = 12


def side_by_side(comparison: Comparison) -> Markup:
    """Images spread evenly over the test split, each with what every run says; who says the same shares a line.

    Where the data cannot be opened any more, captions stand alone, and it is said why.
    """
    runs = [run for setting in comparison.settings for run in setting.runs]
    said = {run.label: _captions(run) for run in runs}
    everyone = next(iter(said.values()))
    ids = [identity for identity in everyone if all(identity in captions for captions in said.values())]
    shown = [ids[place] for place in np.unique(np.linspace(0, len(ids) - 1, COUNT).astype(int))]
    images, missing = _images(runs[0])
    names = {run.label: name for run, name in _names(comparison)}
    cards = [
        {
            "id": identity,
            "image": _picture(images, identity),
            "references": everyone[identity].references,
            "captions": _grouped({names[label]: captions[identity].prediction for label, captions in said.items()}),
            "attribution": everyone[identity].attribution,
        }
        for identity in shown
    ]
    lead = (
        f"{len(shown)} of {len(ids):,} images, spread evenly over the {SPLIT} split; the best setting first. {missing}"
    )
    return Markup(template("compare").render(cards=cards, lead=lead))


def _names(comparison: Comparison) -> list[tuple[Run, str]]:
    """What a run is called: its setting, and its seed where there are several."""
    return [
        (run, setting.label if len(setting.runs) == 1 else f"{setting.label} ({run.label})")
        for setting in comparison.settings
        for run in setting.runs
    ]


def _captions(run: Run) -> dict[str, Prediction]:
    return {p.id: p for p in read_predictions(run.folder.path / "predictions" / f"{SPLIT}.jsonl")}


def _grouped(captions: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each different caption with who said it, in the order of the first who did."""
    groups: dict[str, list[str]] = {}
    for name, caption in captions.items():
        groups.setdefault(caption, []).append(name)
    return [(caption, listed(names)) for caption, names in groups.items()]


def _images(run: Run) -> tuple[dict[str, LazyImage], str]:
    """The split's images by id, or none and why."""
    try:
        examples: Sequence[Any] = build(run.folder.config.data.source).examples(SPLIT)
    except (UserError, OSError) as error:
        return {}, f"Without pictures: {str(error).splitlines()[0]}"
    return {example.id: example.image for example in examples}, ""


def _picture(images: Mapping[str, LazyImage], identity: str) -> Markup | None:
    if identity not in images:
        return None
    try:
        return picture(read(images[identity]), identity)
    except UnreadableImage:
        return None
