"""Tables that people have, in any of the usual formats, and what their columns mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rococap.data.delimited import read_cells
from rococap.data.text_files import read_text
from rococap.types import UserError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

# What people call a column, the likelier first; in lower case, with underscores for blanks and hyphens.
_NAMES = {
    "image": ["image", "image_path", "image_file", "img", "img_path", "file_name", "filename", "file", "path"],
    "caption": ["caption", "captions", "text", "report", "findings", "impression", "description", "caption_text"],
    "split": ["split", "subset", "partition", "set"],
    "group": ["group", "patient_id", "patientid", "patient", "subject_id", "subjectid", "subject", "pmcid"],
    "concepts": ["concepts", "cuis", "cui"],
    "licence": ["licence", "license", "attribution", "credit"],
}
_NAMES["image"] += ["image_id", "imageid", "id"]  # without a suffix, perhaps
_NAMES["group"] += ["article_id", "article", "study_id"]
_NEEDED = ("image", "caption")
_OTHERS = {
    ".json": "Write an object for each image on a line of its own, as .jsonl.",
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the sheet as CSV in UTF-8."),
}


@dataclass(frozen=True)
class Records:
    """The lines of a table, by column; and those that cannot be read."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    bad_lines: Sequence[str]


def read_records(path: Path) -> Records:
    """Read a table by the suffix of its name; raises UserError where it is none, or damaged."""
    suffix = path.suffix.lower()
    if suffix in {".jsonl", ".ndjson"}:
        return _json_lines(path)
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in _OTHERS:
        raise UserError(f"{path} is no table that is read here ({', '.join(SUFFIXES)} are).\n{_OTHERS[suffix]}")
    header, table = read_cells(path)
    if repeated := [name for name in header if header.count(name) > 1]:
        raise UserError(f"{path} has several columns {repeated[0]!r}.\nGive each a name of its own.")
    return Records(header, [dict(zip(header, row, strict=True)) for row in table.rows], table.bad_lines)


def chosen(records: Records, given: Mapping[str, str | None], path: Path | str) -> dict[str, str]:
    """Which column holds what: as given, or by its name; what no column holds is missing.

    Raises:
        UserError: a column that is given is not there, or none holds images or captions.
    """
    plain = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in records.columns}
    there = ", ".join(records.columns) or "none: the file is empty"
    found = {}
    for what, names in _NAMES.items():
        name = given.get(what)
        if name is not None and name not in records.columns:
            raise UserError(f"{path} has no column {name!r}, as data.columns.{what} says.\nIts columns: {there}.")
        name = name or next((plain[each] for each in names if each in plain), None)
        if name is not None:
            found[what] = name
    if missing := [what for what in _NEEDED if what not in found]:
        raise UserError(
            f"{path}: no column is known to hold the {missing[0]}s. Its columns: {there}.\n"
            f"Say which: data.columns.{missing[0]}=NAME"
        )
    return found


def texts(value: Any) -> list[str]:
    """The texts of a cell, one or a list of them, without outer blanks; empty ones and NaN are none."""
    values = value if isinstance(value, list | tuple) else [value]
    there = (each for each in values if each is not None and each == each)
    return [text for each in there if (text := str(each).strip())]


def _json_lines(path: Path) -> Records:
    rows, bad_lines = [], []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            bad_lines.append(f"line {number}")
    return Records(list(dict.fromkeys(name for row in rows for name in row)), rows, bad_lines)


def _parquet(path: Path) -> Records:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UserError(f'{path} needs the package pyarrow: pip install -e ".[hub]"') from error
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read ({str(error).partition(chr(10))[0]}).") from error
    return Records(table.column_names, table.to_pylist(), [])
