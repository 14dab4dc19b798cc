"""`evaluation_results.csv`: scores with what is needed to trust and compare them; computed, written, read and shown."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from rich.table import Table

from rococap.metrics.base import Metric
from rococap.metrics.scoring import score
from rococap.metrics.signature import signature
from rococap.types import Prediction, UserError

FILE = "evaluation_results.csv"


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
    metrics: Mapping[str, Metric], predictions: Sequence[Prediction], split: str, system: str = "model"
) -> list[Row]:
    """Score captions against their references. Raises UserError naming ids that have none."""
    bare = [p.id for p in predictions if not any(text.strip() for text in p.references)]
    if len(bare) == len(predictions):
        raise UserError(f"Nothing to score: none of the {len(bare)} predictions of {split} has a reference.")
    if bare:
        raise UserError(
            f"{len(bare)} of {len(predictions)} predictions of {split} have no reference: {', '.join(bare[:3])}."
        )
    ids, references = [p.id for p in predictions], [p.references for p in predictions]
    scores = score(metrics, [p.prediction for p in predictions], references)
    return [
        Row(split, system, "all", name, scores.corpus[name], None, None, len(ids), signed)
        for metric in metrics.values()
        for signed in [signature(metric, split, ids, references)]
        for name in metric.names
    ]


def write_results(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows, or leave what was there."""
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)
    temporary.replace(path)


def read_results(path: Path) -> list[Row]:
    """The rows of a file. Raises UserError where it is missing or is something else."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_row(record) for record in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not a table of results ({error!r}).\nWrite it anew with scripts/score.py."
        ) from error


def _row(record: Mapping[str, str]) -> Row:
    return Row(
        split=record["split"],
        system=record["system"],
        slice=record["slice"],
        metric=record["metric"],
        value=float(record["value"]),
        ci_low=float(record["ci_low"]) if record["ci_low"] else None,
        ci_high=float(record["ci_high"]) if record["ci_high"] else None,
        n=int(record["n"]),
        signature=record["signature"],
    )


def table(rows: Sequence[Row]) -> Table:
    """All rows for a terminal, values to 4 decimals."""
    shown = Table("split", "system", "metric")
    for heading in ("score", "95 % interval", "images"):
        shown.add_column(heading, justify="right")
    for row in rows:
        interval = "" if row.ci_low is None else f"{row.ci_low:.4f} .. {row.ci_high:.4f}"
        system = row.system if row.slice == "all" else f"{row.system}, {row.slice}"
        shown.add_row(row.split, system, row.metric, f"{row.value:.4f}", interval, f"{row.n:,}")
    return shown
