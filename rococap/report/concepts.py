"""What a detector's page has of its own: its concepts on images, each concept in a table, precision against recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from markupsafe import Markup
from plotly.graph_objects import Figure, Scatter

from rococap.evaluation.concept_table import Line, concept_lines, precision_recall
from rococap.metrics.base import FloatArray
from rococap.metrics.concepts import SUPPORTS, Sets, gold_codes
from rococap.models.base import Model
from rococap.models.detector import Detector
from rococap.recipe.captioning import attending_labels
from rococap.recipe.labels import FILE, read_labels
from rococap.recipe.recipe import Recipe
from rococap.report.page import chart, html_table
from rococap.report.shown import Shown
from rococap.runs.folder import RunFolder
from rococap.runs.probabilities import Probabilities, file_of, read_probabilities
from rococap.types import Labels, Prediction, Split, codes

_BATCH = 32
_SHOWN = 12  # lines of the table on either end
_MAPS = 4  # concepts of an image that are shown with where the model looked
_POINTS = 200  # of a curve
_EMPTY = Markup("<p>{} of {} images have no concept: nothing is predicted for {}, {:.1f} concepts on average.</p>")


@dataclass(frozen=True)
class Detected:
    """What a run's folder holds of a split beyond its predictions."""

    labels: Labels
    probabilities: Probabilities

    @staticmethod
    def of(folder: RunFolder, split: Split) -> Detected | None:
        """None where the run is no detector's."""
        file = folder.path / file_of(split)
        return Detected(read_labels(folder.path / FILE), read_probabilities(file)) if file.is_file() else None

    @property
    def names(self) -> dict[str, str]:
        """Of the labels, by code."""
        return {concept.cui: concept.name for concept in self.labels.concepts}

    def concepts(self, predictions: Sequence[Prediction]) -> Markup:
        """How well each is detected, and what is said of images without any."""
        return _empties(predictions) + concept_table(concept_lines(predictions, self.labels, self.probabilities))

    def curves(self, predictions: Sequence[Prediction]) -> Markup:
        """Precision against recall."""
        return curves_of(predictions, self.probabilities)


@dataclass(frozen=True, slots=True)
class LabelAttention:
    """Where each label looked in an image: names and `[rows, columns]`, those shown first that are most probable."""

    maps: Sequence[tuple[str, FloatArray]]

    def telling(self, with_facts: bool) -> list[tuple[str, FloatArray]]:
        """Some concepts with their maps."""
        return list(self.maps[:_MAPS])


def why_no_label_maps(model: Model | None) -> str | None:
    """Why it is not to be seen where a detector looks; None where it is."""
    if not isinstance(model, Detector) or model.pooling != "attention":
        return "without attention pooling all concepts see one vector of the image"
    return None if model.grid is not None else "how what the vision tower gives lies in the image is not known here"


def label_attention(model: Detector, recipe: Recipe, shown: Sequence[Shown]) -> dict[str, LabelAttention]:
    """Id -> where the predicted concepts of an image looked; the rarest of them in training first."""
    attend, seen = attending_labels(model, recipe), {}
    for start in range(0, len(shown), _BATCH):
        batch = shown[start : start + _BATCH]
        pixels = np.stack([model.processor.pixels(one.image) for one in batch])
        maps = attend(torch.from_numpy(pixels)).float().cpu().numpy()
        assert model.grid is not None  # `why_no_label_maps`
        for one, found in zip(batch, maps.reshape(*maps.shape[:2], *model.grid), strict=True):
            numbers = sorted(model.processor.tokens(one.prediction.prediction, 0)[0], reverse=True)
            named = [(model.labels.concepts[number], found[number]) for number in numbers]
            seen[one.example.id] = LabelAttention([(c.name or c.cui, weights) for c, weights in named])
    return seen


def concept_table(lines: Sequence[Line]) -> Markup:
    """How well concepts are detected, from the most frequent of the split to the rarest."""
    known = [line for line in lines if line.support]
    ends = [*known[:_SHOWN], *known[_SHOWN:][-_SHOWN:]] if len(known) > 2 * _SHOWN else known
    left_out = len(known) - len(ends)
    rows = [[line.name or line.cui, line.cui, line.support, line.training, *_numbers(line)] for line in ends]
    if left_out:
        rows.insert(_SHOWN, [f"... {left_out:,} more", *[""] * 7])
    header = ["concept", "code", "images", "in training", "precision", "recall", "F1", "average precision"]
    return html_table(header, rows)


def curves_of(predictions: Sequence[Prediction], probabilities: Probabilities) -> Markup:
    """Precision against recall over all pairs of image and label, and of labels by how many images have them."""
    sets = Sets.of([p.prediction for p in predictions], [p.concepts for p in predictions])
    columns = {code: column for column, code in enumerate(sets.codes)}
    support = np.array([sets.support[columns[cui]] if cui in columns else 0 for cui in probabilities.cuis])
    known = [column for column, cui in enumerate(probabilities.cuis) if cui in columns]
    gold = np.zeros(probabilities.values.shape, dtype=bool)
    gold[:, known] = sets.gold[:, [columns[probabilities.cuis[column]] for column in known]].toarray() > 0
    groups = {"all": support >= 0}
    for name, (least, most) in SUPPORTS.items():
        groups[f"of {name.replace('_', ' to ', 1) if name[0].isdigit() else name.replace('_', ' ')} images"] = (
            support >= least
        ) & (support <= most)
    lines = []
    for name, chosen in groups.items():
        if not gold[:, chosen].any():
            continue
        precision, recall = precision_recall(gold[:, chosen].ravel(), probabilities.values[:, chosen].ravel())
        points = np.unique(np.linspace(0, len(recall) - 1, _POINTS).round().astype(int))
        lines.append(Scatter(x=recall[points].tolist(), y=precision[points].tolist(), mode="lines", name=name))
    axes = {"xaxis": {"title": "recall", "range": [0, 1.02]}, "yaxis": {"title": "precision", "range": [0, 1.02]}}
    return chart(Figure(lines, layout=axes))


def _empties(predictions: Sequence[Prediction]) -> Markup:
    empty = [codes(p.prediction) - {""} for p in predictions if not gold_codes(p.concepts) - {""}]
    if not empty:
        return Markup("")
    silent = sum(not said for said in empty)
    mean = sum(map(len, empty)) / len(empty)
    return _EMPTY.format(f"{len(empty):,}", f"{len(predictions):,}", f"{silent:,}", mean)


def _numbers(line: Line) -> list[float | str]:
    return ["" if value is None else value for value in (line.precision, line.recall, line.f1, line.ap)]
