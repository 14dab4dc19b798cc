"""A table of one's own: CSV, TSV, JSONL or parquet with a column of images and one of captions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from rococap.data.image_files import ImageFiles
from rococap.data.layout import SPLIT_WORDS
from rococap.data.lines import Line, lines_of
from rococap.data.own import ColumnData
from rococap.data.places import Odd, merged
from rococap.data.records import SUFFIXES
from rococap.types import SPLITS, UserError


class Table(ColumnData):
    """The images that a table names, which lie beside it or anywhere below its folder, zipped or not.

    `root` is the table, or a folder with one table, or with one for each split: `train.csv`, `val.csv`, `test.csv`,
    whose images may lie in folders `train`, `val` and `test`.
    """

    def lines(self) -> tuple[list[Line], Odd]:
        """Of all tables; raises UserError where it is not clear which these are."""
        lines, odds, tables = [], list[Odd](), self._tables()
        images = ImageFiles(tables[0][0].parent)
        for table, split in tables:
            find = partial(images.find, near=table.stem if split else "")
            found, odd = lines_of(table, self.columns, find, table.name)
            lines += [replace(line, split=split or line.split) for line in found]
            odds.append(odd)
        return lines, merged([*odds, images.odd])

    def _tables(self) -> list[tuple[Path, str]]:
        """Each with the split that its name says, empty where it says none."""
        if self.place.is_file():
            return [(self.place, "")]
        there = sorted(path for path in self.place.iterdir() if path.suffix.lower() in SUFFIXES)
        named = {path: split for path in there for split in SPLITS if path.stem.lower() in SPLIT_WORDS[split]}
        if len(there) == 1 and not named:
            return [(there[0], "")]
        if named and len(set(named.values())) == len(named):
            return list(named.items())
        listed = ", ".join(path.name for path in there) or "none"
        raise UserError(
            f"{self.place} holds no single table, nor train, valid and test ones; its tables: {listed}.\n"
            f"Say which: data.root={there[0] if there else 'FILE'}, or put one there ({', '.join(SUFFIXES)})."
        )
