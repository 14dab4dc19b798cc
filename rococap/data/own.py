"""What people's own datasets share: lines that say something of an image become examples in splits."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from rococap.data.complete import Missing
from rococap.data.concepts import cuis
from rococap.data.division import divide
from rococap.data.ids import bare_id
from rococap.data.image import StoredImage
from rococap.data.layout import SPLIT_WORDS
from rococap.data.pictures.dicom import View
from rococap.data.places import Odd
from rococap.data.records import chosen, read_records, texts
from rococap.data.splits import Loaded, SplitSource
from rococap.types import SPLITS, Concept, Example, Split, UserError

log = logging.getLogger(__name__)

BAD_LINES = "lines cannot be read and are left out"
NO_IMAGE = "images are named and not there, or several are called so; these are left out"
NO_CAPTION = "captions are empty; these images are left out"
CROSSING = "images are of a patient or article that is also trained on"


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


class OwnData(SplitSource):
    """Images that lines say something of. Splits that nothing says are made, of whole groups.

    Several captions of an image may stand in several lines; what else the first of them says goes for all.

    Args:
        shares: of the images, of splits that are made where no line is of them.
        seed: of which groups these are.
    """

    def __init__(self, root: str | None, shares: Mapping[Split, float], seed: int) -> None:
        super().__init__(root)
        self.shares, self.seed = shares, seed

    @abstractmethod
    def lines(self) -> tuple[list[Line], Odd]:
        """All that is said of images, in the dataset's order; and what is odd, such as lines that cannot be read."""

    def load(self, split: Split) -> Loaded:
        """A split; all of them are read at the first. Raises UserError where it or the training split is empty."""
        if not (loaded := self._all[split]).examples:
            none = f": none of its {lost:,} ids has one" if (lost := loaded.missing.of) else ""
            raise UserError(f"{self.where} has no images of {split}{none}.")
        return loaded

    def has(self, split: Split) -> bool:
        return bool(self._all[split].examples)

    @property
    def place(self) -> Path:
        """`root`; raises UserError where nothing is there."""
        if self.root is None or not self.root.exists():
            raise UserError(f"data.root={self.root or 'null'} is not there: give a table, or a folder of images.")
        return self.root

    @property
    def where(self) -> str:
        """`place`, for messages; raises UserError as it does."""
        return str(self.place)

    @cached_property
    def _all(self) -> dict[Split, Loaded]:
        lines, odd = self.lines()
        there = _one_each(lines)
        if not there:
            raise UserError(
                f"{self.where}: {len(lines):,} lines name an image, and none is there"
                f"{f': the first is {lines[0].id}' if lines else ''}.\n"
                "Put the images beside the table, or say which column names them: data.columns.image=NAME"
            )
        splits = self._splits(there)
        of = {name: [line for line, its in zip(there, splits, strict=True) if its == name] for name in SPLITS}
        if not any(line.captions for line in of["train"]):
            raise UserError(f"{self.where} has no caption to train on.\nWhich column has? data.columns.caption=NAME")
        trained = {line.group for line in of["train"] if line.group}
        found = {split: _loaded(of[split], trained if split != "train" else set()) for split in SPLITS}
        known = {line.id for line in there}
        absent = [line for line in _one_each(lines, there=False) if line.id not in known]
        for split, loaded in found.items():
            lost = [line for line in absent if (_split_said(line, self.where) or "train") == split]
            # Those of which nothing says the split would have been shared out like all the others.
            of_all = len(there) + len(absent) if any(not line.split for line in lost) else len(of[split]) + len(lost)
            problems = {**(odd if split == "train" else {}), NO_IMAGE: [line.id for line in lost]}
            loaded.problems.update({problem: names for problem, names in problems.items() if names})
            found[split] = replace(loaded, missing=Missing(len(lost), of_all))
        return found

    def _splits(self, lines: Sequence[Line]) -> list[Split]:
        """The split of each image: as is said, and made for those splits that none is said to be of."""
        said = [_split_said(line, self.where) for line in lines]
        missing = [split for split in self.shares if split not in said]
        if missing and any(said) and "train" not in said:
            raise UserError(
                f"{self.where}: none of its lines is for training.\nWhich column says so? data.columns.split=NAME"
            )
        if missing:
            free = [index for index, split in enumerate(said) if split in {None, "train"}]
            groups = [lines[index].group or f"image {lines[index].id}" for index in free]
            made = divide(groups, {split: self.shares[split] for split in missing}, self.seed)
            for index, split in zip(free, made, strict=True):
                said[index] = split
            self._tell(missing, said, {lines[index].group for index in free} - {""})
        return [split or "train" for split in said]

    def _tell(self, made: Sequence[Split], splits: Sequence[Split | None], groups: set[str]) -> None:
        counts = Counter(splits)
        log.info(
            "%s: nothing says which images are %s; so of %s images %s (data.source.seed=%d)",
            self.where,
            " and ".join(made),
            "whole groups of" if groups else "single",
            ", ".join(f"{counts[split]:,} are {split}" for split in SPLITS),
            self.seed,
        )
        if not groups:
            log.warning(
                "%s: nothing says which images are of one patient or article: they may stand in several splits.\n"
                "If a column does: data.columns.group=NAME",
                self.where,
            )


class ColumnData(OwnData):
    """What columns of tables say.

    Args:
        columns: which of them hold what; null: those whose names say so.
        valid, test, seed: see `OwnData`.
        dicom_frame, burned_in: see `SplitSource`.
    """

    def __init__(
        self,
        root: str | None,
        columns: Mapping[str, str | None] | None,
        valid: float,
        test: float,
        seed: int,
        dicom_frame: str = "first",
        burned_in: bool = False,
    ) -> None:
        super().__init__(root, {"test": test, "valid": valid}, seed)
        self.columns = columns or {}
        self.view = View(dicom_frame, burned_in)


def lines_of(
    table: Path, columns: Mapping[str, str | None], find: Callable[[str], StoredImage | None]
) -> tuple[list[Line], list[str]]:
    """What a table says, and which of its lines cannot be read; raises UserError as `read_records` and `chosen`.

    Args:
        find: the image of a name.
    """
    records = read_records(table)
    names = chosen(records, columns, table)
    log.info("%s: %s", table, ", ".join(f"{what} is {name}" for what, name in names.items()))
    lines, nameless = [], []
    for number, row in enumerate(records.rows, start=1):
        cells = {what: texts(row.get(name)) for what, name in names.items()}
        if not cells["image"]:
            nameless.append(f"row {number}")
            continue
        name = cells["image"][0]
        lines.append(line_of(id_of(name, table.parent), find(name), cells))
    return lines, [*records.bad_lines, *nameless]


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


def _one_each(lines: Sequence[Line], *, there: bool = True) -> list[Line]:
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


def _split_said(line: Line, place: str) -> Split | None:
    word = line.split.lower()
    split = next((split for split in SPLITS if word in SPLIT_WORDS[split]), None)
    if word and split is None:
        raise UserError(
            f"{place}: {line.id} is said to be of the split {line.split!r}, which is none of train, valid and test.\n"
            "Write one of these, or take no such column: data.columns.split=NAME"
        )
    return split


def _loaded(lines: Sequence[Line], trained: set[str]) -> Loaded:
    """A split; without any caption it can be captioned, and not scored. `trained`: groups that are trained on."""
    captioned = any(line.captions for line in lines)
    kept = [line for line in lines if line.captions or not captioned]
    examples = [
        Example(line.id, line.image, line.captions, line.concepts, line.attribution, line.group)
        for line in kept
        if line.image is not None
    ]
    problems = {
        NO_CAPTION: [line.id for line in lines if captioned and not line.captions],
        CROSSING: [example.id for example in examples if example.group in trained],
    }
    return Loaded(examples, {problem: names for problem, names in problems.items() if names})
