"""Files of scores, written, read and shown: `evaluation_results.csv` with what is needed to trust and compare them,
`scores/<split>_per_sample.csv` with those of each image.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from rococap.metrics.base import FloatArray
from rococap.metrics.signature import difference
from rococap.types import UserError

FILE = "evaluation_results.csv"
WIDTH = 100  # columns of a terminal that a table fits into
# The systems that a model is seen beside, in their order in a table.
OTHERS = {
    "base": "before adaptation",
    "common": "the most common training caption",
    "nearest": "the caption of the nearest training image",
    "prior": "the caption of the mean training feature",
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
    _write(path, [field.name for field in fields(Row)], (astuple(row) for row in rows))


def write_per_sample(folder: Path, split: str, ids: Sequence[str], scores: Mapping[str, FloatArray]) -> None:
    """Write `scores/<split>_per_sample.csv` below a folder: an image a line, or leave what was there.

    Args:
        scores: of each image in the order of `ids`, `[images]` by the metric's name.
    """
    path = folder / per_sample_file(split)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [values.tolist() for values in scores.values()]
    _write(path, ["id", *scores], zip(ids, *columns, strict=True))


def per_sample_file(split: str) -> str:
    """Where the scores of each image lie in a folder."""
    return f"scores/{split}_per_sample.csv"


def read_per_sample(path: Path) -> dict[str, dict[str, float]]:
    """Id -> name of a score -> value. Raises UserError naming file and line of what is no such table, or no number."""
    rows: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file):
                name = record.pop("id")
                rows[name] = {key: _number(value) for key, value in record.items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}, line {len(rows) + 2}: no scores of an image ({error}). Score them anew.") from error
    return rows


def _write(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
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


def show_table(rows: Sequence[Row]) -> None:
    """Print `table`. Where there are less than 100 columns its lines wrap, rather than lose digits."""
    Console(width=max(WIDTH, Console().width)).print(table(rows))


def table(rows: Sequence[Row]) -> Table:
    """The scores of whole splits for a terminal of 100 columns: a metric a line, the other systems beside the model.

    Raises UserError where one metric's signatures differ.
    """
    whole = [row for row in rows if row.slice == "all"]
    _require_one_signature(whole)
    with_blind = any(row.metric.endswith("_blind") for row in whole)
    others = [system for system in OTHERS if any(row.system == system for row in whole)]
    caption = "; ".join(_legend(with_blind, others))
    shown = Table(caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("(images)", no_wrap=True)
    for heading in ["score", "95 % CI", *(["blind", "gain", "95 % CI"] if with_blind else []), *others]:
        shown.add_column(heading, justify="right", no_wrap=True)
    for split, group in groupby(whole, key=lambda row: row.split):
        found = {(row.system, row.metric): row for row in group}
        shown.add_section()
        shown.add_row(f"[bold]{split} ({next(iter(found.values())).n:,})")
        for name in dict.fromkeys(metric for _, metric in found if not metric.endswith(("_blind", "_gain"))):
            score, blind, gain = (found.get(("model", name + end)) for end in ("", "_blind", "_gain"))
            cells = [_value(score), _ends(score), *([_value(blind), _value(gain), _ends(gain)] if with_blind else [])]
            shown.add_row(name, *cells, *(_value(found.get((system, name))) for system in others))
    if Console(width=1000).measure(shown).maximum > WIDTH:
        shown.padding = 0
    return shown


def _legend(with_blind: bool, others: Iterable[str]) -> list[str]:
    blind = ["blind: its captions given to other images", "gain: score over blind"] if with_blind else []
    return [*blind, *(f"{system}: {OTHERS[system]}" for system in others)]


def _require_one_signature(rows: Sequence[Row]) -> None:
    columns: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        columns.setdefault((row.split, row.metric), []).append(row.signature)
    for (_, metric), signatures in columns.items():
        if reason := difference(signatures):
            raise UserError(
                f"{metric}: these scores were computed in different ways and cannot be compared ({reason})."
            )


def _value(row: Row | None) -> str:
    return "" if row is None else f"{row.value:z.4f}"


def _ends(row: Row | None) -> str:
    return "" if row is None or row.ci_low is None else f"{row.ci_low:z.3f}..{row.ci_high:z.3f}"
