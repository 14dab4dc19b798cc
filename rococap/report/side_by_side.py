"""Captions of many runs beside each other, for the same images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from rococap.compare.comparison import Comparison
from rococap.compare.gather import SPLIT, listed
from rococap.compare.runs import SEED, Run, Setting, value_text
from rococap.config import build
from rococap.data.image import UnreadableImage, read
from rococap.report.page import picture, template
from rococap.runs.predictions import read_predictions
from rococap.types import LazyImage, Prediction, UserError

COUNT = 12


def side_by_side(comparison: Comparison) -> Markup:
    """Images spread evenly over the test split, each with what every run says; who says the same shares a line.

    Where the data cannot be opened any more, captions stand alone, and it is said why.
    """
    runs = [(run, name) for setting in comparison.settings for run, name in _named(setting)]
    images = _captions(runs[0][0])
    chosen = [images[place] for place in np.unique(np.linspace(0, len(images) - 1, COUNT).astype(int))]
    ids = {prediction.id for prediction in chosen}
    said = [(name, {p.id: p.prediction for p in _captions(run) if p.id in ids}) for run, name in runs]
    pictures, missing = _images(runs[0][0])
    cards = [
        {
            "id": p.id,
            "image": _picture(pictures, p.id),
            "references": p.references,
            "captions": _grouped((name, captions[p.id]) for name, captions in said if p.id in captions),
            "attribution": p.attribution,
        }
        for p in chosen
    ]
    lead = f"{len(chosen)} of {len(images):,} images, spread evenly over the {SPLIT} split; best setting first."
    return Markup(template("compare").render(cards=cards, lead=f"{lead} {missing}"))


def _named(setting: Setting) -> list[tuple[Run, str]]:
    """What runs are called: their setting, and their seed where there are several."""
    if len(setting.runs) == 1:
        return [(setting.runs[0], setting.label)]
    return [(run, f"{setting.label} seed={value_text(run.recipe[SEED])}") for run in setting.runs]


def _captions(run: Run) -> list[Prediction]:
    return read_predictions(run.folder.path / "predictions" / f"{SPLIT}.jsonl")


def _grouped(captions: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each different caption with who said it, in the order of the first who did."""
    groups: dict[str, list[str]] = {}
    for name, caption in captions:
        groups.setdefault(caption, []).append(name)
    return [(caption, listed(names)) for caption, names in groups.items()]


def _images(run: Run) -> tuple[dict[str, LazyImage], str]:
    """The split's images by id, or none and why."""
    try:
        examples: Sequence[Any] = build(run.folder.recipe.data.source).examples(SPLIT)
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
