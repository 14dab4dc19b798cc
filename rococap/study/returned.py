"""Sheets that come back: whole, of this study, a reader each; or they are refused by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rococap.data.delimited import read_cells
from rococap.metrics.base import FloatArray
from rococap.runs.cells import content
from rococap.study.key import Key
from rococap.study.sheet import COLUMNS, HIGHEST, PLACE, SCALES
from rococap.types import UserError

_SHOWN = 4  # problems of a kind that are named


@dataclass(frozen=True)
class Answers:
    """What one reader said: by scale, `[captions]` in the order of `Key.rows`."""

    reader: str
    values: dict[str, FloatArray]


def read_answers(files: Sequence[Path], key: Key) -> list[Answers]:
    """Of each sheet the answers.

    Raises:
        UserError: a sheet is of another study, or lacks a reader's name, rows or answers; or has rows twice, or foreign
            ones; or two are of one reader. Then none is counted.
    """
    found, problems = [], []
    for file in files:
        reader, values, wrong = _read(file, key)
        found.append(Answers(reader, values))
        problems += [f"{file}: {each}" for each in wrong]
    names = Counter(_known_as(each.reader) for each in found)
    for name in (name for name, count in names.items() if name and count > 1):
        same = [str(file) for file, each in zip(files, found, strict=True) if _known_as(each.reader) == name]
        problems.append(f"{' and '.join(same)} are both of the reader {name!r}: give each reader a name, or one sheet")
    if problems:
        more = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UserError("No sheet was counted.\n" + "\n".join(problems[:_SHOWN]) + more)
    return found


def _known_as(reader: str) -> str:
    return " ".join(reader.split()).casefold()


def _read(file: Path, key: Key) -> tuple[str, dict[str, FloatArray], list[str]]:
    """Reader, answers, and what is wrong; where anything is, the answers are none."""
    header, table = read_cells(file)
    places = {name.lower(): place for place, name in enumerate(header)}
    if missing := [name for name in COLUMNS if name not in places]:
        return "", {}, [f"has no column {' or '.join(missing)}; a sheet has {', '.join(COLUMNS)}"]
    rows = [{name: content(row[places[name]]) for name in COLUMNS} for row in table.rows]
    readers = list(dict.fromkeys(row["reader"] for row in rows if row["reader"]))
    wrong = [f"{_some(table.bad_lines)} cannot be read: too few or too many cells"] if table.bad_lines else []
    wrong += _foreign(rows, key)
    if len(readers) != 1:
        said = f"names {len(readers)} readers ({_some(readers)})" if readers else "names no reader"
        wrong.append(f"{said}: give one, in the column reader")
    reader = readers[0] if readers else ""
    if wrong:
        return reader, {}, wrong
    by_row = {(row["image"], row["caption"].upper()): row for row in rows}
    wrong = list(_unanswered(by_row, key))
    names = (PLACE, *SCALES)
    values = {} if wrong else {name: np.array([float(by_row[row][name]) for row in key.rows]) for name in names}
    return reader, values, wrong


def _foreign(rows: Sequence[dict[str, str]], key: Key) -> Iterator[str]:
    """Another study's sheet; rows that are missing, there twice, or none of this study's."""
    codes = list(dict.fromkeys(row["study"] for row in rows))
    if others := [code or "none" for code in codes if code != key.code]:
        yield f"is a sheet of another study (code {_some(others)}; this key's is {key.code})"
        return
    counted = Counter((row["image"], row["caption"].upper()) for row in rows)
    wanted = set(key.rows)
    for what, found in (
        ("lacks", [row for row in key.rows if row not in counted]),
        ("has twice", [row for row, count in counted.items() if count > 1]),
        ("has, and the study has not,", [row for row in counted if row not in wanted]),
    ):
        if found:
            yield f"{what} {len(found)} row(s): {_captions(found)}"


def _unanswered(by_row: dict[tuple[str, str], dict[str, str]], key: Key) -> Iterator[str]:
    letters = Counter(number for number, _ in key.rows)
    for name in (PLACE, *SCALES):
        highest = {row: letters[row[0]] if name == PLACE else HIGHEST for row in key.rows}
        empty = [row for row in key.rows if not by_row[row][name]]
        odd = [row for row in key.rows if by_row[row][name] and not _is_of(by_row[row][name], highest[row])]
        if empty:
            yield f"{len(empty)} captions without an answer in {name}: {_captions(empty)}"
        if odd:
            bounds = f"1 to {highest[odd[0]]}"
            yield f"{name} is no number of {bounds} for {_captions(odd)}, but {by_row[odd[0]][name]!r}"


def _is_of(text: str, highest: int) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text) <= highest


def _captions(rows: Sequence[tuple[str, str]]) -> str:
    return _some([f"image {number} {letter}" for number, letter in rows])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
