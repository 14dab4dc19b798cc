"""What lines of tables, and files beside images, say of images; and what several lines say of one."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rococap.data.concepts import cuis
from rococap.data.ids import bare_id
from rococap.data.image import StoredImage
from rococap.data.layout import SPLIT_WORDS
from rococap.data.places import Odd
from rococap.data.records import chosen, read_records, texts
from rococap.types import SPLITS, Concept, Split, UserError

log = logging.getLogger(__name__)

BAD_LINES = "lines cannot be read and are left out"
SEVERAL = "lines name several images, of which the first is taken"


@dataclass(frozen=True)
class Line:
    """What a line of a table, or a file beside an image, says of an image.

    Attributes:
        image: None where there is no such file.
        split: as the line has it; empty where it says none.
    """

    id: str
    image: StoredImage | None
    captions: tuple[str, ...]
    split: str = ""
    group: str = ""
    concepts: tuple[Concept, ...] = ()
    attribution: str = ""


def lines_of(
    table: Path, columns: Mapping[str, str | None], find: Callable[[str], StoredImage | None], called: str
) -> tuple[list[Line], Odd]:
    """What a table says, and what is odd in it.

    Args:
        find: the image of a name.
        called: the table, where its lines are named.

    Raises:
        UserError: as `read_records` and `chosen`, or it holds images in place of their names.
    """
    records = read_records(table)
    names = chosen(records, columns, table)
    log.info("%s: %s", table, ", ".join(f"{what} is {name}" for what, name in names.items()))
    if any(isinstance(row.get(names["image"]), dict | bytes) for row in records.rows):
        raise UserError(
            f"{table}: its column {names['image']!r} holds images, not their names.\n"
            f"As datasets writes such tables, they are read by data=hub data.path={table.parent}"
        )
    lines, nameless, several = [], [], []
    for number, row in enumerate(records.rows, start=1):
        cells = {what: texts(row.get(name)) for what, name in names.items()}
        if not cells["image"]:
            nameless.append(f"row {number}")
            continue
        name, *more = cells["image"]
        lines.append(line_of(id_of(name, table.parent), find(name), cells))
        several += [lines[-1].id] * bool(more)
    return lines, {BAD_LINES: [f"{called} {each}" for each in [*records.bad_lines, *nameless]], SEVERAL: several}


def line_of(name: str, image: StoredImage | None, cells: Mapping[str, Sequence[str]]) -> Line:
    """A line from the texts of its cells, by what they hold."""
    first = {what: "".join(cells.get(what, [])[:1]) for what in ("split", "group")}
    concepts = cuis(cells.get("concepts", []))
    attribution = ", ".join(cells.get("licence", []))
    return Line(
        name, image, tuple(cells["caption"]), **first, concepts=tuple(map(Concept, concepts)), attribution=attribution
    )


def id_of(name: str, folder: Path) -> str:
    """An image's id, which does not hang on where the dataset lies."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute():
        home = folder.resolve()
        path = path.relative_to(home) if path.is_relative_to(home) else PurePosixPath(path.name)
    return bare_id(str(path))


def told_apart(lines: Sequence[Line]) -> list[Line]:
    """Ids that several images have become longer: their paths, from the folder on that holds them all.

    So do `a.png` and `a.jpg`, and files of one name whose absolute paths lead elsewhere.
    """
    images: dict[str, dict[str, None]] = {}
    for line in lines:
        if line.image is not None:
            images.setdefault(line.id, {}).setdefault(str(line.image))
    names: dict[tuple[str, str], str] = {}
    for name, found in images.items():
        if len(found) > 1:
            paths = {path: PurePosixPath(os.path.abspath(path)) for path in found}
            above = os.path.commonpath([path.parent for path in paths.values()])
            own = {path: whole.relative_to(above) for path, whole in paths.items()}
            bare = Counter(bare_id(str(path)) for path in own.values())
            for path, end in own.items():
                plain = bare_id(str(end))
                names[name, path] = plain if bare[plain] == 1 else f"{plain}_{end.suffix[1:]}"
    return [replace(line, id=names.get((line.id, str(line.image)), line.id)) for line in lines]


def require_one_split(lines: Sequence[Line], place: str) -> None:
    """Raise UserError where lines of one image say different splits: its captions would be trained on and scored."""
    said: dict[str, Split] = {}
    torn: dict[str, str] = {}
    for line in lines:
        split = split_said(line, place)
        if split and said.setdefault(line.id, split) != split:
            torn.setdefault(line.id, f"{line.id} of {said[line.id]} and of {split}")
    if torn:
        raise UserError(
            f"{place}: {len(torn):,} images are said to be of several splits, such as {next(iter(torn.values()))}.\n"
            "Give all lines of an image one split, or none, for whole images to be divided."
        )


def one_each(lines: Sequence[Line], *, there: bool = True) -> list[Line]:
    """One for each image that is there, or is not, with the captions of all."""
    found: dict[str, Line] = {}
    for line in lines:
        if (line.image is None) == there:
            continue
        first = found.setdefault(line.id, line)
        if first is not line:
            captions = tuple(dict.fromkeys((*first.captions, *line.captions)))
            found[line.id] = replace(first, captions=captions)
    return list(found.values())


def split_said(line: Line, place: str) -> Split | None:
    word = line.split.lower()
    split = next((split for split in SPLITS if word in SPLIT_WORDS[split]), None)
    if word and split is None:
        raise UserError(
            f"{place}: {line.id} is said to be of the split {line.split!r}, which is none of train, valid and test.\n"
            "Write one of these, or take no such column: data.columns.split=NAME"
        )
    return split
