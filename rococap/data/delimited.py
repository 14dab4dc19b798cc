"""CSV and TSV as people, Excel and ROCOv2 write them: rows are read as they were meant, or the file is refused.

A reader that trusts each quotation mark lets one that is never closed swallow the rows after it, and takes the marks of
a table away that were never meant as CSV's.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rococap.data.text_files import read_text
from rococap.types import UserError

log = logging.getLogger(__name__)

_DELIMITERS = "\t,;|"
_TRIED = 100  # rows by which a delimiter is chosen
_ANNOUNCED = "sep="  # how Excel says which delimiter follows
Row = tuple[int, list[str]]  # the line on which it begins, counted from 1, and its fields


@dataclass(frozen=True)
class Table:
    """The wanted columns of a file, and the lines whose number of fields is not the header's."""

    rows: list[tuple[str, ...]]
    bad_lines: list[str]


class _QuotingError(Exception):
    """Quotation marks that are not CSV's: the line with the one that opens, and what is wrong."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def read_cells(path: Path) -> tuple[list[str], Table]:
    """The header and all fields, without outer blanks; quoted fields may hold line breaks.

    Raises:
        UserError: the file is no text (see `read_text`), or its quotation marks can be read in several ways.
    """
    lines = list(io.StringIO(read_text(path), newline=""))
    skipped = int(bool(lines) and lines[0].lower().startswith(_ANNOUNCED))
    delimiter = lines[0].rstrip("\r\n")[len(_ANNOUNCED) :] if skipped else _delimiter(lines)
    if len(delimiter) != 1:
        raise UserError(f"{path}, line 1: {lines[0].rstrip()!r} names no delimiter of one character.")
    rows = _rows(path, lines, skipped, delimiter)
    header = [name.strip() for name in rows[0][1]] if rows else []
    table = Table([], [])
    for line, fields in rows[1:]:
        if len(fields) == len(header):
            table.rows.append(tuple(field.strip() for field in fields))
        elif any(field.strip() for field in fields):
            table.bad_lines.append(f"line {line}")
    return header, table


def named_cells(path: Path, *needed: str) -> tuple[list[dict[str, str]], list[str]]:
    """As `read_cells`, a row by its columns' names; and the bad lines.

    Raises:
        UserError: as there, or a column that is needed is missing.
    """
    header, table = read_cells(path)
    if missing := [name for name in needed if name not in header]:
        there = ", ".join(header) or "nothing: the file is empty"
        raise UserError(f"{path} has no column {missing[0]!r}; its first line holds {there}.\nDownload it again.")
    return [dict(zip(header, row, strict=True)) for row in table.rows], table.bad_lines


def _delimiter(lines: Sequence[str]) -> str:
    """That of the header by which most of the first rows have as many fields as it has."""
    weighed = {}
    for delimiter in _DELIMITERS:
        rows = [fields for line in lines[:_TRIED] if (fields := _fields(line, delimiter))]
        if rows and len(rows[0]) > 1:
            weighed[delimiter] = (sum(len(fields) == len(rows[0]) for fields in rows), len(rows[0]))
    return max(weighed, key=weighed.__getitem__) if weighed else ","


def _rows(path: Path, lines: Sequence[str], skipped: int, delimiter: str) -> list[Row]:
    try:
        rows = list(_quoted(lines, skipped, delimiter))
        _refuse_swallowed(lines, rows, delimiter)
        return rows
    except _QuotingError as error:
        plain = [(n, line.rstrip("\r\n").split(delimiter)) for n, line in enumerate(lines, 1) if n > skipped]
        plain = [row for row in plain if row[1] != [""]]
        if all(len(fields) == len(plain[0][1]) for _, fields in plain) and not _means_quoting(plain, delimiter):
            log.info("%s: its quotation marks are part of its texts (line %d)", path, error.line)
            return plain
        raise UserError(
            f"{path}, line {error.line}: {error}.\nClose the field there with one, and double those within it."
        ) from error


def _quoted(lines: Sequence[str], skipped: int, delimiter: str) -> Iterator[Row]:
    """Rows by RFC 4180; raises _QuotingError where it does not allow a quotation mark."""
    reader = csv.reader(lines[skipped:], delimiter=delimiter, strict=True)
    begin = skipped + 1
    try:
        for fields in reader:
            if fields:
                yield begin, fields
            begin = skipped + reader.line_num + 1
    except csv.Error as error:
        end = "the end of the file" if "end of data" in str(error) else f"line {skipped + reader.line_num}"
        raise _QuotingError(begin, f"a quotation mark opens a field that does not end rightly before {end}") from error


def _refuse_swallowed(lines: Sequence[str], rows: Sequence[Row], delimiter: str) -> None:
    """Raises _QuotingError where a field spans lines that look like rows of their own."""
    ends = [begin - 1 for begin, _ in rows[1:]] + [len(lines)] * bool(rows)
    firsts = [fields[0].strip() for (begin, fields), end in zip(rows[1:], ends[1:], strict=True) if begin == end]
    like = _Likeness(firsts)
    for (begin, _), end in zip(rows, ends, strict=True):
        for number in range(begin + 1, end + 1):
            fields = _fields(lines[number - 1], delimiter)
            if len(fields) == len(rows[0][1]) and like.fits(fields[0].strip()):
                raise _QuotingError(
                    begin, f"a quotation mark opens a field that spans line {number}, which looks like a row of its own"
                )


def _fields(line: str, delimiter: str) -> list[str]:
    """Of a line alone, whatever field it may be in; none where it is longer than any caption."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


class _Likeness:
    """What the first fields of a table's rows have in common, and a line of a caption has not."""

    def __init__(self, names: Sequence[str]) -> None:
        self._lengths = {len(name) for name in names}
        self._traits = {self._of(name) for name in names}

    def fits(self, name: str) -> bool:
        """Whether a text could be one of these names."""
        return bool(name) and self._of(name) in self._traits and len(name) in self._lengths

    @staticmethod
    def _of(name: str) -> tuple[bool, bool, str]:
        return any(map(str.isspace, name)), any(map(str.isdigit, name)), PurePosixPath(name).suffix.lower()


def _means_quoting(rows: Sequence[Row], delimiter: str) -> bool:
    """Whether some of a table's quotation marks are CSV's: around the header, a whole column, or doubled ones."""
    columns = list(zip(*(fields for _, fields in rows), strict=True))
    quoted = [[field.strip() for field in column if _is_quoted(field.strip())] for column in columns]
    return any(
        _is_quoted(column[0].strip())
        or any('""' in field[1:-1] for field in around)
        or len(around) > len([field for field in column[1:] if field.strip()]) / 2
        for column, around in zip(columns, quoted, strict=True)
    )


def _is_quoted(field: str) -> bool:
    return len(field) > 1 and field[0] == field[-1] == '"' and '"' not in field[1:-1].replace('""', "")
