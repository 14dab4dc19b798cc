"""What is known of each run: its scores, what they were counted from, or why it cannot be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rococap.compare.runs import Run
from rococap.evaluation.sufficient_statistics import statistics
from rococap.metrics.base import FloatArray, Metric
from rococap.metrics.bootstrap import bootstrap, jump
from rococap.metrics.signature import difference, known_id
from rococap.recipe.recipe import build_metrics
from rococap.runs.folder import SCORED
from rococap.runs.predictions import read_predictions
from rococap.runs.results import FILE, Row, read_results
from rococap.types import Prediction, Split, UserError

SPLIT: Split = "test"


@dataclass(frozen=True)
class Sample:
    """A run's score, and `draws [resamples]` of it over images, in the same resamples for all runs.

    Attributes:
        jump: how far it moves if one image's caption was perfect.
    """

    value: float
    draws: FloatArray
    jump: float


def gather(runs: Sequence[Run]) -> tuple[dict[str, dict[str, Sample]], dict[str, str]]:
    """Samples by metric's name and run's label; and of each run that has none the reason, by label.

    Raises:
        UserError: scores were made in different ways, or of different images.
    """
    left_out = {run.label: reason for run in runs if (reason := _unfit(run))}
    fit = [run for run in runs if run.label not in left_out]
    rows = {run.label: _rows(run) for run in fit}
    _require_one_signature(rows)
    metrics = _metrics(fit)
    counted = {run.label: _counted(run, metrics, rows[run.label]) for run in fit}
    left_out |= {label: reason for label, reason in counted.items() if isinstance(reason, str)}
    samples = {label: each for label, each in counted.items() if not isinstance(each, str)}
    return _samples(metrics, samples, next((_groups(run) for run in fit if run.label in samples), [])), left_out


def _groups(run: Run) -> list[str]:
    """Of each image the patient or article that it is of; signatures have told that all runs have the same."""
    predictions = _predictions(run)
    return [predictions[place].group for place in _order(predictions)]


def _predictions(run: Run) -> list[Prediction]:
    return read_predictions(run.folder.path / "predictions" / f"{SPLIT}.jsonl")


def _order(predictions: Sequence[Prediction]) -> list[int]:
    """Of ids, by which all runs have their images in one order: differences are paired image by image."""
    return sorted(range(len(predictions)), key=lambda place: known_id(predictions[place].id))


def _unfit(run: Run) -> str:
    """Why a run has no scores to compare; empty where it has."""
    if run.state not in SCORED:
        error = run.facts.get("last_error")
        done = f"{run.facts.get('epochs_done', 0)} of {run.facts.get('epochs', '?')} epochs"
        return f"{run.state}, {done}" + (f": {str(error).splitlines()[0]}" if error else "")
    folder = run.folder.path
    if not (folder / "predictions" / f"{SPLIT}.jsonl").is_file():
        return f"{run.state}, but predictions/{SPLIT}.jsonl is missing; scripts/evaluate.py --run captions anew"
    try:
        run.folder.verify(f"predictions/{SPLIT}.jsonl", FILE)
    except UserError as error:
        return f"{run.state}, but {str(error).partition(chr(10))[0]}"
    if not (folder / FILE).is_file() or not _rows(run):
        return f"{run.state}, without scores of the {SPLIT} split"
    return ""


def _rows(run: Run) -> dict[str, Row]:
    """The model's scores of the whole test split, by metric."""
    rows = read_results(run.folder.path / FILE)
    return {row.metric: row for row in rows if (row.split, row.system, row.slice) == (SPLIT, "model", "all")}


def _metrics(runs: Iterable[Run]) -> dict[str, Metric]:
    """All metrics that the runs' recipes name, by key."""
    found: dict[str, Metric] = {}
    for run in runs:
        found = {**build_metrics(run.folder.metrics_recipe), **found}
    return found


def _require_one_signature(rows: Mapping[str, Mapping[str, Row]]) -> None:
    """Raise UserError where runs have been scored in different ways or on different images, naming them."""
    for name in dict.fromkeys(name for found in rows.values() for name in found):
        signed = {label: found[name].signature for label, found in rows.items() if name in found}
        if reason := difference(signed.values()):
            first = next(iter(signed.values()))
            alike = [label for label, signature in signed.items() if signature == first]
            others = [label for label, signature in signed.items() if signature != first]
            raise UserError(
                f"{name}: these runs' scores were not made in the same way and cannot be compared ({reason}).\n"
                f"Alike: {listed(alike)}. Otherwise: {listed(others)}. Compare them apart, or score them anew."
            )


def _counted(run: Run, metrics: Mapping[str, Metric], rows: Mapping[str, Row]) -> dict[str, FloatArray] | str:
    """Statistics `[images, k]` of the metrics that the run was scored with; or why they do not belong to its scores."""
    chosen = {key: metric for key, metric in metrics.items() if set(metric.names) - set(metric.partial) <= set(rows)}
    try:
        found = statistics(run.folder.path, SPLIT, chosen)
    except UserError as error:
        return f"finished, but {str(error).splitlines()[0]}"
    for key, values in found.items():
        for name, value in chosen[key].scores(values).corpus.items():
            if not np.isclose(value, rows[name].value, rtol=1e-9, atol=1e-12):
                return (
                    f"finished, but its captions give {name} {value:.4f}, and {FILE} says {rows[name].value:.4f}: "
                    "one of them has changed; scripts/evaluate.py --run captions and scores anew"
                )
    order = _order(_predictions(run))
    found = {key: values[order] for key, values in found.items()}
    return found or f"finished, but no config.yaml of these runs names a metric that is in its {FILE}"


def _samples(
    metrics: Mapping[str, Metric], counted: Mapping[str, Mapping[str, FloatArray]], groups: Sequence[str]
) -> dict[str, dict[str, Sample]]:
    """By metric's name and run's label."""
    found: dict[str, dict[str, Sample]] = {}
    for key, metric in metrics.items():
        labels = [label for label, each in counted.items() if key in each]
        if labels:
            stacked = np.stack([counted[label][key] for label in labels])  # [runs, images, k]
            values, draws = metric.combine(stacked.sum(axis=-2)), bootstrap(metric, stacked, groups=groups)
            moves = jump(metric, stacked)
            for column, name in enumerate(metric.names):
                if not np.isfinite(values[:, column]).all():
                    continue  # a partial one, of which these images have nothing
                found[name] = {
                    label: Sample(float(values[run, column]), draws[:, run, column], float(moves[run, column]))
                    for run, label in enumerate(labels)
                }
    return found


def listed(labels: Sequence[str]) -> str:
    """The first of them, and how many more."""
    return ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if labels[4:] else "")
