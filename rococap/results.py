"""`evaluation_results.csv`: scores with what is needed to trust and compare them; computed, written, read and shown."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import groupby
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from rococap.metrics import blind
from rococap.metrics.base import FloatArray, Metric
from rococap.metrics.scoring import measure
from rococap.metrics.signature import difference, signature
from rococap.metrics.stats import bootstrap, interval
from rococap.types import Prediction, UserError

FILE = "evaluation_results.csv"
_CAPTION = "blind: the captions given to other images; gain: score over blind"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of `evaluation_results.csv`; the fields are its columns. An interval that was not computed is None."""

    split: str
    system: str
    slice: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int
    signature: str


def score_predictions(
    metrics: Mapping[str, Metric],
    predictions: Sequence[Prediction],
    split: str,
    system: str = "model",
    with_blind: bool = True,
) -> list[Row]:
    """Score captions against their references, with intervals; of each score also the blind one and the gain over it.

    Blind scores of 10,000 captions take METEOR two minutes. A single image gets neither interval nor blind score.
    Raises UserError naming ids that have no reference.
    """
    _require_references(predictions, split)
    ids, references = [p.id for p in predictions], [p.references for p in predictions]
    orders = blind.orders(len(ids)) if with_blind else np.arange(len(ids))[None]
    measured = measure(metrics, [p.prediction for p in predictions], references, orders)
    rows = []
    for key, statistics in measured.items():
        signed = signature(metrics[key], split, ids, references)
        for name, value, low, high in _estimates(metrics[key], statistics):
            rows.append(Row(split, system, "all", name, value, low, high, len(ids), signed))
    return rows


def _estimates(metric: Metric, statistics: FloatArray) -> Iterator[tuple[str, float, float | None, float | None]]:
    """Name, value and interval of score, blind score and gain, from statistics `[orders, images, k]`."""
    metric.scores(statistics[0])  # raises where an image has no score
    values = blind.split(metric.combine(statistics.sum(axis=-2)))
    draws = blind.split(bootstrap(metric, statistics))
    for suffix, scores in values.items():
        low, high = interval(draws[suffix])
        for column, name in enumerate(metric.names):
            ends = (float(low[column]), float(high[column])) if statistics.shape[1] > 1 else (None, None)
            yield name + suffix, float(scores[column]), *ends


def _require_references(predictions: Sequence[Prediction], split: str) -> None:
    bare = [p.id for p in predictions if not any(text.strip() for text in p.references)]
    if len(bare) == len(predictions):
        raise UserError(f"Nothing to score: none of the {len(bare)} predictions of {split} has a reference.")
    if bare:
        raise UserError(
            f"{len(bare)} of {len(predictions)} predictions of {split} have no reference: {', '.join(bare[:3])} ..."
        )


def write_results(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows, or leave what was there."""
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)
    temporary.replace(path)


def read_results(path: Path) -> list[Row]:
    """The rows of a file. Raises UserError naming file and line where it is missing, something else, or not numbers."""
    rows: list[Row] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file):
                rows.append(_row(record))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}, line {len(rows) + 2}: no row of results ({error}). Score the predictions anew."
        ) from error
    return rows


def _row(record: Mapping[str, str]) -> Row:
    return Row(
        split=record["split"],
        system=record["system"],
        slice=record["slice"],
        metric=record["metric"],
        value=_number(record["value"]),
        ci_low=_number(record["ci_low"]) if record["ci_low"] else None,
        ci_high=_number(record["ci_high"]) if record["ci_high"] else None,
        n=int(record["n"]),
        signature=record["signature"],
    )


def _number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"a score is {text}")
    return value


def table(rows: Sequence[Row]) -> Table:
    """All rows for a terminal, values to 4 decimals. Raises UserError where one metric's signatures differ."""
    _require_one_signature(rows)
    columns = 6 if any(row.metric.endswith("_blind") for row in rows) else 3
    title, caption = ", ".join(dict.fromkeys(row.split for row in rows)), _CAPTION if columns == 6 else None
    shown = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("(images)", "score", "95 % interval", "blind", "gain", "95 % interval")[:columns]:
        shown.add_column(heading, justify="left" if heading == "(images)" else "right", no_wrap=True)
    for (_, system, part), group in groupby(rows, key=lambda row: (row.split, row.system, row.slice)):
        found = {row.metric: row for row in group}
        images = next(iter(found.values())).n
        shown.add_section()
        shown.add_row(f"[bold]{system if part == 'all' else part} ({images:,})")
        for name, row in found.items():
            if not name.endswith(("_blind", "_gain")):
                other, gain = found.get(f"{name}_blind"), found.get(f"{name}_gain")
                cells = (name, _value(row), _ends(row), _value(other), _value(gain), _ends(gain))
                shown.add_row(*cells[:columns])
    return shown


def _require_one_signature(rows: Sequence[Row]) -> None:
    columns: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        columns.setdefault((row.split, row.slice, row.metric), []).append(row.signature)
    for (_, _, metric), signatures in columns.items():
        if reason := difference(signatures):
            raise UserError(
                f"{metric}: these scores were computed in different ways and cannot be compared ({reason})."
            )


def _value(row: Row | None) -> str:
    return "" if row is None else f"{row.value:.4f}"


def _ends(row: Row | None) -> str:
    return "" if row is None or row.ci_low is None else f"{row.ci_low:.4f} .. {row.ci_high:.4f}"
