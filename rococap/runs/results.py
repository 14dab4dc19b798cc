"""Files of scores, written, read and shown: `evaluation_results.csv` with what is needed to trust and compare them,
`scores/<split>_per_sample.csv` with those of each image.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from rococap.data.kept.files import write_whole
from rococap.metrics.base import FloatArray
from rococap.runs.cells import cell, content
from rococap.types import UserError

FILE = "evaluation_results.csv"
# The systems that a model is seen beside, in their order in a table.
OTHERS = {
    "base": "before adaptation",
    "common": "the most common training caption",
    "nearest": "the caption of the nearest training image",
    "constant": "the concepts best on valid for every image",
    "neighbours": "those of the nearest training images",
    "prior": "what the mean training feature gives",
}


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


def write_results(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows, or leave what was there."""
    write_table(path, [field.name for field in fields(Row)], (astuple(row) for row in rows))


def write_per_sample(folder: Path, split: str, ids: Sequence[str], scores: Mapping[str, FloatArray]) -> None:
    """Write `scores/<split>_per_sample.csv` below a folder: an image a line, or leave what was there.

    Args:
        scores: of each image in the order of `ids`, `[images]` by the metric's name.
    """
    path = folder / per_sample_file(split)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [values.tolist() for values in scores.values()]
    write_table(path, ["id", *scores], zip(ids, *columns, strict=True))


def per_sample_file(split: str) -> str:
    """Where the scores of each image lie in a folder."""
    return f"scores/{split}_per_sample.csv"


def read_per_sample(path: Path) -> dict[str, dict[str, float]]:
    """Id -> name of a score -> value. Raises UserError naming file and line of what is no such table, or no number."""
    rows: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file):
                name = content(record.pop("id"))
                values = {key: _number(value) for key, value in record.items()}
                rows[name] = {content(key): value for key, value in values.items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}, line {len(rows) + 2}: no scores of an image ({error}). Score them anew.") from error
    return rows


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file, or leave what was there."""
    write_whole(path, table_text(header, rows))


def table_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """The text of a CSV file; see `cells` for text that begins like a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(map(cell, header))
    writer.writerows(map(cell, row) for row in rows)
    return text.getvalue()


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
    if not rows:
        raise UserError(f"{path} holds no scores: it was cut off. Score the predictions anew.")
    return rows


def _row(record: Mapping[str, str]) -> Row:
    return Row(
        split=content(record["split"]),
        system=content(record["system"]),
        slice=content(record["slice"]),
        metric=content(record["metric"]),
        value=_number(record["value"]),
        ci_low=_number(record["ci_low"]) if record["ci_low"] else None,
        ci_high=_number(record["ci_high"]) if record["ci_high"] else None,
        n=int(record["n"]),
        signature=content(record["signature"]),
    )


def _number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"a score is {text}")
    return value
