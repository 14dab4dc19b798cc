"""`scores/<split>_concepts.csv`: how well each concept is detected, the rare ones among them; average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rococap.metrics.base import FloatArray
from rococap.metrics.concepts import Sets, of_each
from rococap.runs.probabilities import Probabilities
from rococap.runs.results import write_table
from rococap.types import Labels, Prediction


@dataclass(frozen=True)
class Line:
    """A concept of a split; what cannot be had is None: precision where it is never predicted, recall without support.

    Attributes:
        support: images that have it.
        predicted: images for which it is predicted.
        ap: average precision, of labels with support.
        training: training images that have it; 0 for what is no label, None where that is not known.
        threshold: the probability from which on it is predicted.
    """

    cui: str
    name: str
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    ap: float | None = None
    training: int | None = None
    threshold: float | None = None


def file_of(split: str) -> str:
    """Where a split's table lies in a run's folder."""
    return f"scores/{split}_concepts.csv"


def concept_lines(
    predictions: Sequence[Prediction], labels: Labels | None = None, probabilities: Probabilities | None = None
) -> list[Line]:
    """A line a concept that an image has, or is predicted, or is a label: those of most images first.

    Args:
        labels: that the model knows; None where only its texts are known.
        probabilities: of these predictions, in their order.
    """
    sets = Sets.of([p.prediction for p in predictions], [p.concepts for p in predictions])
    counts = of_each(sets)
    names = {c.cui.strip().upper(): c.name for p in predictions for c in p.concepts if c.name}
    names |= {c.cui: c.name for c in labels.concepts if c.name} if labels else {}
    trained = dict(zip(labels.cuis, labels.counts, strict=True)) if labels else {}
    aps = average_precisions(sets, probabilities) if probabilities else {}
    cuts = dict(zip(probabilities.cuis, probabilities.thresholds.tolist(), strict=True)) if probabilities else {}
    lines = []
    for cui in dict.fromkeys([*counts, *trained]):
        count = counts.get(cui, {"support": 0, "predicted": 0, "right": 0})
        support, predicted, right = count["support"], count["predicted"], count["right"]
        lines.append(
            Line(
                cui,
                names.get(cui, ""),
                support,
                predicted,
                right / predicted if predicted else None,
                right / support if support else None,
                2 * right / (support + predicted) if support + predicted else None,
                aps.get(cui),
                trained.get(cui, 0) if labels else None,
                cuts.get(cui),
            )
        )
    return sorted(lines, key=lambda line: (-line.support, line.cui))


def write_concept_table(folder: Path, split: str, lines: Sequence[Line]) -> None:
    """Write the table below a folder; what cannot be had is an empty cell."""
    path = folder / file_of(split)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (["" if value is None else value for value in astuple(line)] for line in lines)
    write_table(path, [field.name for field in fields(Line)], rows)


def average_precisions(sets: Sets, probabilities: Probabilities) -> Mapping[str, float]:
    """By code, of the labels that an image has."""
    columns = {code: column for column, code in enumerate(sets.codes)}
    found = {}
    for number, cui in enumerate(probabilities.cuis):
        if cui in columns and sets.support[columns[cui]]:
            gold = sets.gold[:, [columns[cui]]].toarray().ravel() > 0
            found[cui] = average_precision(gold, probabilities.values[:, number])
    return found


def average_precision(gold: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]) -> float:
    """The precisions at each recall that a threshold can give, weighted by its step: scikit-learn's definition."""
    precisions, recalls = precision_recall(gold, probabilities)
    return float(np.sum(np.diff(recalls, prepend=0.0) * precisions))


def precision_recall(
    gold: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]
) -> tuple[FloatArray, FloatArray]:
    """At each threshold, from the highest down: precision and recall of what is at least as probable."""
    order = np.argsort(-probabilities, kind="stable")
    values, hits = probabilities[order], np.cumsum(gold[order])
    ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # what is equal comes together
    return hits[ends] / (ends + 1), hits[ends] / hits[-1]
