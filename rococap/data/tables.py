"""Tables as ROCOv2's and ImageCLEF's editions write them: comma or TAB, BOM or none, any line ends."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from rococap.data.image import SUFFIXES
from rococap.types import UserError

T = TypeVar("T")

# What editions call a column, in lower case. An id column may also say whose id: "ImageCLEFmedical 2025 ID".
COLUMNS = {
    "ID": ("id",),
    "Caption": ("caption", "captions"),
    "CUIs": ("cuis", "cui", "concepts"),
    "CUI": ("cui", "concept"),
    "Canonical name": ("canonical name", "concept_name", "name"),
    "PMCID": ("pmcid",),
    "Attribution": ("attribution",),
    "Link": ("link",),
}


@dataclass(frozen=True)
class Table:
    """The wanted columns of a file, and the lines whose number of fields is not the header's."""

    rows: list[tuple[str, ...]]
    bad_lines: list[str]


def read_table(path: Path, *columns: str) -> Table:
    """Read some columns, as `read_cells` reads all.

    Args:
        columns: keys of `COLUMNS`.

    Raises:
        UserError: as `read_cells`, or the file lacks a column.
    """
    header, cells = read_cells(path)
    positions = [_position(path, header, column) for column in columns]
    return Table([tuple(fields[position] for position in positions) for fields in cells.rows], cells.bad_lines)


def read_cells(path: Path) -> tuple[list[str], Table]:
    """The header and all fields, without outer blanks; quoted fields may hold line breaks.

    Raises:
        UserError: the file is no UTF-8 text.
    """
    try:
        open_text = gzip.open if path.suffix == ".gz" else open
        with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            separator = next((each for each in "\t,;" if each in first), ",")
            file.seek(0)
            reader = csv.reader(file, delimiter=separator)
            header = [name.strip() for name in next(reader, [])]
            rows, bad_lines = [], []
            for fields in reader:
                if len(fields) == len(header):
                    rows.append(tuple(field.strip() for field in fields))
                elif any(field.strip() for field in fields):
                    bad_lines.append(f"line {reader.line_num}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path} is not a table in UTF-8 ({error}).\nDownload it again, or save it as UTF-8."
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    return header, Table(rows, bad_lines)


def _position(path: Path, header: Sequence[str], column: str) -> int:
    names = [name.lower() for name in header]
    for position, name in enumerate(names):
        if name in COLUMNS[column] or (column == "ID" and name.endswith(" id")):
            return position
    found = ", ".join(header) or "nothing: the file is empty"
    raise UserError(f"{path} has no column {column!r}; its first line holds {found}.\nGive it the header line.")


def bare_id(name: str) -> str:
    """An id without an image file's extension: some editions write `x.jpg`, some `x`."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else name


def by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts ids by the numbers in them, padded or not: `test_2` comes before `test_10`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


class ByName(Generic[T]):
    """Finds entries by id, also where one side pads the number at the end with zeros and the other does not."""

    def __init__(self, entries: dict[str, T]) -> None:
        self.entries = entries

    def find(self, name: str) -> str | None:
        """The key under which `name` is listed."""
        if name in self.entries:
            return name
        return self._unpadded.get(_unpad(name)) if self.entries else None

    def get(self, name: str, default: T) -> T:
        """The entry of `name`."""
        key = self.find(name)
        return default if key is None else self.entries[key]

    @cached_property
    def _unpadded(self) -> dict[str, str | None]:
        keys: dict[str, str | None] = {}
        for name in self.entries:
            short = _unpad(name)
            keys[short] = None if short in keys else name  # two that differ only in padding are two
        return keys


def _unpad(name: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d+$)", "", name)
