"""What people's own datasets share: lines that say something of an image become examples in splits."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from rococap.data.complete import Missing
from rococap.data.division import divide
from rococap.data.lines import BAD_LINES, Line, one_each, require_one_split, split_said, told_apart
from rococap.data.pictures.dicom import View
from rococap.data.places import Odd
from rococap.data.splits import Loaded, SplitSource
from rococap.types import SPLITS, Example, Split, UserError

log = logging.getLogger(__name__)

NO_IMAGE = "images are named and not there, or several are called so; these are left out"
NO_CAPTION = "captions are empty; these images are left out"
NO_SPLIT = "images train, for nothing says of which split they are, as it does of others"
CROSSING = "images are of a patient or article that is also trained on"


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
            lost = sum(missing.of for missing in loaded.missing if missing.what == "ids have no image")
            none = f": none of its {lost:,} ids has one" if lost else ""
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
        bad_lines = odd.get(BAD_LINES, [])
        if not lines:
            why = f"{len(bad_lines):,} cannot be read, the first is {bad_lines[0]}" if bad_lines else "there is none"
            raise UserError(
                f"{self.where}: no line names an image; {why}.\n"
                "Each has as many fields as the first line; texts that hold the delimiter are quoted."
            )
        lines = told_apart(lines)
        there = one_each(lines)
        if not there:
            raise UserError(
                f"{self.where}: {len(lines):,} lines name an image, and none is there, or several are called so: the "
                f"first is {lines[0].id:.80}.\n"
                "Put the images beside the table, or say which column names them: data.columns.image=NAME"
            )
        require_one_split(lines, self.where)
        splits = self._splits(there)
        of = {name: [line for line, its in zip(there, splits, strict=True) if its == name] for name in SPLITS}
        if not any(line.captions for line in of["train"]):
            raise UserError(f"{self.where} has no caption to train on.\nWhich column has? data.columns.caption=NAME")
        trained = {line.group for line in of["train"] if line.group}
        found = {split: _loaded(of[split], trained if split != "train" else set()) for split in SPLITS}
        known = {line.id for line in there}
        absent = [line for line in one_each(lines, there=False) if line.id not in known]
        for split, loaded in found.items():
            lost = [line for line in absent if (split_said(line, self.where) or "train") == split]
            # Those of which nothing says the split would have been shared out like all the others.
            of_all = len(there) + len(absent) if any(not line.split for line in lost) else len(of[split]) + len(lost)
            silent = [line.id for line in of[split] if split == "train" and not line.split]
            problems = {
                **(odd if split == "train" else {}),
                NO_IMAGE: [line.id for line in lost],
                NO_SPLIT: silent if len(silent) < len(of[split]) else [],
            }
            loaded.problems.update({problem: names for problem, names in problems.items() if names})
            # Which split a line is of that cannot be read is not known.
            unread = Missing(len(bad_lines), len(bad_lines) + len(lines), "lines cannot be read")
            found[split] = replace(loaded, missing=(Missing(len(lost), of_all), unread))
        return found

    def _splits(self, lines: Sequence[Line]) -> list[Split]:
        """The split of each image: as is said, and made for those splits that none is said to be of."""
        said = [split_said(line, self.where) for line in lines]
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
