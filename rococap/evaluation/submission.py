"""ImageCLEFmedical Caption's submissions, captions or concepts: `submission.csv` in a zip.

The rules are those of both `submission_check.py` of github.com/taubsity/clef-caption-evaluation-2026, the checks that
the site runs first, and the most concepts of an image those of its evaluator.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Container, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from rococap.data.ids import ByName, bare_id
from rococap.data.kept.files import write_whole
from rococap.data.tables import read_table
from rococap.metrics.text import one_line
from rococap.types import UserError, codes, listed

FILE = "submission.csv"
MOST = 100  # concepts of an image
_CODE = re.compile(r"C\d+")


class Form(Enum):
    """What is submitted, by the name of its column."""

    CAPTIONS = "Caption"
    CONCEPTS = "CUIs"

    @staticmethod
    def of(texts: Iterable[str]) -> Form:
        """Concepts, if all texts that are not empty are lists of codes."""
        said = [text for text in texts if text.strip()]
        all_codes = all(_CODE.fullmatch(code) for text in said for code in codes(text) if code)
        return Form.CONCEPTS if said and all_codes else Form.CAPTIONS

    @property
    def header(self) -> list[str]:
        """The first row."""
        return ["ID", self.value]

    def field(self, text: str) -> str:
        """A text as it is submitted: a caption on one line, concepts in upper case, each once."""
        if self is Form.CAPTIONS:
            return one_line(text).strip()
        return listed(dict.fromkeys(code for part in text.split(";") if (code := part.strip().upper())))

    def line(self, name: str, text: str) -> str:
        """A row; all captions stand between quotation marks, as the site advises."""
        quoted = text.replace('"', '""')
        return f'{name},"{quoted}"\n' if self is Form.CAPTIONS else f"{name},{text}\n"

    def fault(self, given: str, text: str) -> str:
        """What is wrong with a row's second field, as it is written and as it is read; empty where nothing is."""
        if self is Form.CAPTIONS:
            unquoted = "," in given and not (given.startswith('"') and given.endswith('"'))
            return "a caption that holds a comma must lie between quotation marks" if unquoted else ""
        parts = [part.strip() for part in text.split(";")] if text else []
        if wrong := [part for part in parts if not _CODE.fullmatch(part)]:
            return f"{wrong[0]!r} is no concept, which is a C and digits"
        if len(set(parts)) < len(parts):
            return f"{next(part for part in parts if parts.count(part) > 1)} stands there twice"
        return f"has {len(parts)} concepts, and {MOST} are the most" if len(parts) > MOST else ""


def official_ids(path: Path) -> list[str]:
    """The ids of a table, as they are written and in its order. Raises UserError where it has none, or one twice."""
    ids = [name for (name,) in read_table(path, "ID").rows]
    if not ids:
        raise UserError(f"{path} lists no ids.")
    if len(set(ids)) < len(ids):
        twice = next(name for place, name in enumerate(ids) if name in ids[:place])
        raise UserError(f"{path} lists {twice} twice.")
    return ids


def in_order(captions: Mapping[str, str], ids: Sequence[str], form: Form = Form.CAPTIONS) -> dict[str, str]:
    """The answer for each official id; ids may differ in a file's extension or in zeros before a number.

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
    return {name: form.field(found.entries[key]) for name, key in keys.items() if key is not None}


def write_submission(path: Path, answers: Mapping[str, str], form: Form = Form.CAPTIONS) -> None:
    """Write the zip, answers by official id in official order; it is checked before it takes its name."""
    text = io.StringIO()
    text.write(",".join(form.header) + "\n")
    for name, answer in answers.items():
        text.write(form.line(name, answer))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE, text.getvalue().encode())
    _verify(path, zipped, list(answers), form)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from error
    write_whole(path, zipped.getvalue())


def verify(path: Path, ids: Sequence[str], form: Form = Form.CAPTIONS) -> None:
    """Raise UserError, naming the line, where the site would refuse a zip for these official ids."""
    _verify(path, path, ids, form)


def _verify(path: Path, archived: Path | io.BytesIO, ids: Sequence[str], form: Form) -> None:
    try:
        with zipfile.ZipFile(archived) as archive:
            names = archive.namelist()
            content = archive.read(FILE) if names == [FILE] else b""
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is no zip that can be read ({error}).") from error
    if names != [FILE]:
        raise UserError(f"{path} must hold {FILE} and nothing else; it holds {', '.join(names[:5]) or 'nothing'}.")
    try:
        _check_text(content.decode("utf-8"), ids, form)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {FILE} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: {FILE}, {error}.") from error


def _check_text(text: str, ids: Sequence[str], form: Form) -> None:
    lines, rows = text.splitlines(), list(csv.reader(io.StringIO(text, newline="")))
    if not rows or rows[0] != form.header:
        raise ValueError(f"line 1: must be {','.join(form.header)}, with nothing before it; it is {lines[:1]}")
    if "" in (stripped := [line.strip() for line in lines]):
        raise ValueError(f"line {stripped.index('') + 1}: is empty")
    if len(rows) != len(lines):
        raise ValueError(f"a caption breaks its line: {len(rows)} rows lie on {len(lines)} lines")
    official, seen = set(ids), dict[str, int]()
    for number, (line, row) in enumerate(zip(lines[1:], rows[1:], strict=True), start=2):
        if reason := _refusal(line, row, official, seen, form):
            raise ValueError(f"line {number}: {reason}")
        seen[row[0]] = number
    if missing := [name for name in ids if name not in seen]:
        raise ValueError(f"{len(missing)} official ids are missing, such as {', '.join(missing[:3])}")
    for expected, (name, number) in zip(ids, seen.items(), strict=True):
        if name != expected:
            raise ValueError(f"line {number}: the official order has {expected} here, not {name}")


def _refusal(line: str, row: Sequence[str], official: Container[str], seen: Mapping[str, int], form: Form) -> str:
    """What is wrong with a line after the header; empty where nothing is."""
    if len(row) != 2:
        return f"has {len(row)} fields, not 2: put captions between quotation marks"
    if any(field != field.strip() for field in row):
        return f"has blanks around the id or the {form.name.lower()}"
    if row[0] in seen:
        return f"{row[0]} is already on line {seen[row[0]]}"
    if row[0] not in official:
        return f"{row[0]} is no official id"
    return form.fault(line.partition(",")[2], row[1])
