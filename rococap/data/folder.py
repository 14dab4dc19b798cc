"""A folder of one's own: images, each with a text file of its name, or `metadata.csv` or `.jsonl` beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from rococap.data.ids import bare_id
from rococap.data.image import FileImage
from rococap.data.image_files import ImageFiles
from rococap.data.layout import SPLIT_WORDS
from rococap.data.lines import Line, id_of, lines_of
from rococap.data.own import ColumnData
from rococap.data.places import Odd, files_below, merged
from rococap.data.text_files import read_text
from rococap.types import SPLITS, UserError

_ABOUT = re.compile(r"read.?me|licen[cs]e|notice|citation|changelog|version|sha\d*|md5|requirements", re.IGNORECASE)
_TWINS = "images have the name of another, but for its ending, and are left out"
_TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # as the package datasets reads them


class Folder(ColumnData):
    """Images below `root`; its folders `train`, `valid` (or `val`, `dev` ...) and `test` are these splits."""

    def lines(self) -> tuple[list[Line], Odd]:
        """Of its metadata where there are any, else of the text files; raises UserError where there is neither."""
        if not self.place.is_dir():
            raise UserError(f"{self.place} is no folder: a table is data=table.")
        tables = [
            path for folder in (self.place, *self._parts()) for name in _TABLES if (path := folder / name).is_file()
        ]
        searched = {folder: ImageFiles(folder) for folder in [table.parent for table in tables] or [self.place]}
        lines, odds = [], list[Odd]()
        for table in tables:
            inside = "" if table.parent == self.place else f"{table.parent.name}/"
            found, odd = lines_of(table, self.columns, searched[table.parent].find, f"{inside}{table.name}")
            lines += [replace(line, id=f"{inside}{line.id}", split=line.split or self._split(table)) for line in found]
            odds.append(odd)
        if not tables:
            lines = self._texts(searched[self.place])
        if not any(line.captions for line in lines):
            raise UserError(
                f"{self.place} holds no image with a text file of its name (x.png, x.txt), and no {_TABLES[0]}.\n"
                "A table of another name is data=table data.root=FILE."
            )
        return lines, merged([*odds, *(images.odd for images in searched.values())])

    def _parts(self) -> list[Path]:
        return sorted(path for path in self.place.iterdir() if path.is_dir() and self._split(path / "x"))

    def _split(self, path: Path) -> str:
        """The split that the first folder on the way to a file is called; empty where it is called otherwise."""
        first = path.relative_to(self.place).parts[0].lower()
        return next((split for split in SPLITS if first in SPLIT_WORDS[split]), "")

    def _texts(self, images: ImageFiles) -> list[Line]:
        """An image and a text of one name are a line; so is each alone, which lacks the other."""
        texts = {path.with_suffix(""): path for path in files_below(self.place, {}) if path.suffix.lower() == ".txt"}
        there = [image.path for _, image in images.below() if isinstance(image, FileImage)]
        named: dict[Path, Path] = {}
        for path in there:
            if named.setdefault(path.with_name(bare_id(path.name)), path) is not path:
                images.odd.setdefault(_TWINS, []).append(str(path.relative_to(self.place)))
        alone = {name: file for name, file in texts.items() if name not in named}
        packed = [str(path) for path, image in images.below() if not isinstance(image, FileImage)]
        lines = [Line(bare_id(path), None, ()) for path in packed]  # a zip that is half unpacked, or not at all
        for name, path in named.items():
            text = " ".join(read_text(texts[name]).split()) if name in texts else ""
            lines.append(Line(self._id(path), FileImage(path), (text,) if text else (), self._split(path)))
        for name, file in alone.items():
            if not _ABOUT.match(name.name):
                lines.append(Line(self._id(name), None, (), self._split(file)))
        return lines

    def _id(self, path: Path) -> str:
        return id_of(str(path.relative_to(self.place)), self.place)
