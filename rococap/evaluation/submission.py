"""ImageCLEFmedical Caption's submission: captions as `submission.csv` in a zip.

The rules are those of `submission_check.py` of github.com/taubsity/clef-caption-evaluation-2026, the check that the
site runs first.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from rococap.data.ids import ByName, bare_id
from rococap.data.kept.files import write_whole
from rococap.data.tables import read_table
from rococap.metrics.text import one_line
from rococap.types import UserError

FILE = "submission.csv"
HEADER = ["ID", "Caption"]


def official_ids(path: Path) -> list[str]:
    """The ids of a table, as they are written and in its order. Raises UserError where it has none, or one twice."""
    ids = [name for (name,) in read_table(path, "ID").rows]
    if not ids:
        raise UserError(f"{path} lists no ids.")
    if len(set(ids)) < len(ids):
        twice = next(name for place, name in enumerate(ids) if name in ids[:place])
        raise UserError(f"{path} lists {twice} twice.")
    return ids


def in_order(captions: Mapping[str, str], ids: Sequence[str]) -> dict[str, str]:
    """The caption of each official id, on one line; ids may differ in a file's extension or in zeros before a number.

    Raises:
        UserError: an official id has no caption, or a caption no official id.
    """
    found = ByName({bare_id(name): caption for name, caption in captions.items()})
    keys = {name: found.find(bare_id(name)) for name in ids}
    used = set(keys.values())
    unknown = [name for name in found.entries if name not in used]
    if len(unknown) == len(found.entries):
        raise UserError(
            f"None of the {len(unknown):,} captioned ids, such as {unknown[0]}, is official, as {ids[0]} is: are these "
            "captions of another split?"
        )
    missing = [name for name, key in keys.items() if key is None]
    for names, what in (
        (missing, "official ids have no caption"),
        (unknown, "captioned ids are not official"),
    ):
        if names:
            raise UserError(f"{len(names):,} {what}, such as {', '.join(names[:3])}: the site refuses that.")
    return {name: one_line(found.entries[key]).strip() for name, key in keys.items() if key is not None}


def write_submission(path: Path, captions: Mapping[str, str]) -> None:
    """Write the zip, `captions` by official id in official order; it is checked before it takes its name."""
    text = io.StringIO()
    text.write(",".join(HEADER) + "\n")
    for name, caption in captions.items():
        quoted = caption.replace('"', '""')
        text.write(f'{name},"{quoted}"\n')  # all captions between quotation marks, as the site advises
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE, text.getvalue().encode())
    _verify(path, zipped, list(captions))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from error
    write_whole(path, zipped.getvalue())


def verify(path: Path, ids: Sequence[str]) -> None:
    """Raise UserError, naming the line, where the site would refuse a zip for these official ids."""
    _verify(path, path, ids)


def _verify(path: Path, archived: Path | io.BytesIO, ids: Sequence[str]) -> None:
    try:
        with zipfile.ZipFile(archived) as archive:
            names = archive.namelist()
            content = archive.read(FILE) if names == [FILE] else b""
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is no zip that can be read ({error}).") from error
    if names != [FILE]:
        raise UserError(f"{path} must hold {FILE} and nothing else; it holds {', '.join(names[:5]) or 'nothing'}.")
    try:
        _check_text(content.decode("utf-8"), ids)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {FILE} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: {FILE}, {error}.") from error


def _check_text(text: str, ids: Sequence[str]) -> None:
    lines, rows = text.splitlines(), list(csv.reader(io.StringIO(text, newline="")))
    if not rows or rows[0] != HEADER:
        raise ValueError(f"line 1: must be ID,Caption, with nothing before it; it is {lines[:1]}")
    if "" in (stripped := [line.strip() for line in lines]):
        raise ValueError(f"line {stripped.index('') + 1}: is empty")
    if len(rows) != len(lines):
        raise ValueError(f"a caption breaks its line: {len(rows)} rows lie on {len(lines)} lines")
    official, seen = set(ids), dict[str, int]()
    for number, (line, row) in enumerate(zip(lines[1:], rows[1:], strict=True), start=2):
        if reason := _refusal(line, row, official, seen):
            raise ValueError(f"line {number}: {reason}")
        seen[row[0]] = number
    if missing := [name for name in ids if name not in seen]:
        raise ValueError(f"{len(missing)} official ids are missing, such as {', '.join(missing[:3])}")
    for expected, (name, number) in zip(ids, seen.items(), strict=True):
        if name != expected:
            raise ValueError(f"line {number}: the official order has {expected} here, not {name}")


def _refusal(line: str, row: Sequence[str], official: Container[str], seen: Mapping[str, int]) -> str:
    """What is wrong with a line after the header; empty where nothing is."""
    if len(row) != 2:
        return f"has {len(row)} fields, not 2: put captions between quotation marks"
    if any(field != field.strip() for field in row):
        return "has blanks around the id or the caption"
    if row[0] in seen:
        return f"{row[0]} is already on line {seen[row[0]]}"
    if row[0] not in official:
        return f"{row[0]} is no official id"
    given = line.partition(",")[2]
    if "," in given and not (given.startswith('"') and given.endswith('"')):
        return "a caption that holds a comma must lie between quotation marks"
    return ""
