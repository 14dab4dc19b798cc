"""A folder of one's own: images, each with a text file of its name, or `metadata.csv` or `.jsonl` beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rococap.data.image import FileImage
from rococap.data.image_files import ImageFiles
from rococap.data.layout import SPLIT_WORDS
from rococap.data.own import ColumnData, Line, id_of, lines_of
from rococap.data.tables import bare_id
from rococap.types import SPLITS, UserError

_TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # as the package datasets reads them


class Folder(ColumnData):
    """Images below `root`; its folders `train`, `valid` (or `val`, `dev` ...) and `test` are these splits."""

    def lines(self) -> tuple[list[Line], list[str]]:
        """Of its metadata where there are any, else of the text files; raises UserError where there is neither."""
        if not self.place.is_dir():
            raise UserError(f"{self.place} is no folder: a table is data=table.")
        tables = [
            path for folder in (self.place, *self._parts()) for name in _TABLES if (path := folder / name).is_file()
        ]
        lines, bad_lines = [], []
        for table in tables:
            found, bad = lines_of(table, self.columns, ImageFiles(table.parent).find)
            inside = "" if table.parent == self.place else f"{table.parent.name}/"
            lines += [replace(line, id=f"{inside}{line.id}", split=line.split or self._split(table)) for line in found]
            bad_lines += [f"{inside}{table.name} {each}" for each in bad]
        if not tables:
            lines = self._texts()
        if not any(line.captions for line in lines):
            raise UserError(
                f"{self.place} holds no image with a text file of its name (x.png, x.txt), and no {_TABLES[0]}.\n"
                "A table of another name is data=table data.root=FILE."
            )
        return lines, bad_lines

    def _parts(self) -> list[Path]:
        return sorted(path for path in self.place.iterdir() if path.is_dir() and self._split(path / "x"))

    def _split(self, path: Path) -> str:
        """The split that the first folder on the way to a file is called; empty where it is called otherwise."""
        first = path.relative_to(self.place).parts[0].lower()
        return next((split for split in SPLITS if first in SPLIT_WORDS[split]), "")

    def _texts(self) -> list[Line]:
        lines = []
        for path, image in ImageFiles(self.place).below():
            if isinstance(image, FileImage):
                text = _text(image.path.with_name(f"{bare_id(image.path.name)}.txt"))
                captions = (text,) if text else ()
                lines.append(Line(id_of(str(path), self.place), image, captions, self._split(image.path)))
        return lines


def _text(file: Path) -> str:
    """Its words in one line; empty where there is no such file."""
    try:
        return " ".join(file.read_text(encoding="utf-8-sig").split())
    except FileNotFoundError:
        return ""
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file} cannot be read ({error}).\nSave it as UTF-8.") from error
