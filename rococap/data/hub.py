"""Any dataset of images and captions on the Hugging Face hub, or a directory that the package `datasets` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rococap.data.hub_rows import RowImage, had, require_whole, undecoded
from rococap.data.lines import Line, line_of
from rococap.data.own import ColumnData
from rococap.data.places import Odd, files_below
from rococap.data.records import Records, chosen, texts
from rococap.types import UserError


class Hub(ColumnData):
    """What `datasets.load_dataset(path)` gives; rows have no names of their own, and are numbered in each split.

    Args:
        root: a name on the hub, or a directory.
        columns, valid, test, seed: see `ColumnData`.
    """

    @property
    def place(self) -> Path:
        """`root`; whether anything is there, the hub knows. Raises UserError where it is not said."""
        if self.root is None:
            raise UserError(
                "data=hub: which dataset? data.path=NAME, such as eltorio/ROCOv2-radiology, or a directory."
            )
        return self.root

    def lines(self) -> tuple[list[Line], Odd]:
        """Of all its splits; raises UserError where it cannot be had, or holds no images."""
        lines = []
        for split, rows in self._splits_there().items():
            names = chosen(Records(rows.column_names, [], []), {**self.columns, "image": "image"}, self.place)
            table = rows.select_columns(sorted({*names.values()} - {"image"}))[:]
            holders = tuple(Path(file["filename"]) for file in rows.cache_files)
            del names["image"]
            for number in range(len(rows)):
                cells = {what: texts(table[name][number]) for what, name in names.items()}
                name = f"{split}_{number:06}"
                cells.setdefault("split", [split])
                lines.append(line_of(name, RowImage(rows, number, f"{self.place}, {name}", holders), cells))
        return lines, {}

    def _splits_there(self) -> Mapping[str, Any]:
        """datasets.Dataset of each split, images undecoded."""
        if self.place.is_dir():
            require_whole(files_below(self.place, {}))
        remedy = "check the name, or give a directory: data.path=DIR"
        found = had("hub", str(self.place), lambda datasets: datasets.load_dataset(str(self.place)), remedy)
        return {split: self._with_images(split, rows) for split, rows in found.items()}

    def _with_images(self, split: str, rows: Any) -> Any:
        """With its images, undecoded, in the column `image`."""
        from datasets import Image

        images = [name for name, kind in rows.features.items() if isinstance(kind, Image)]
        if not images:
            raise UserError(f"{self.place}, {split}: no column holds images, of {', '.join(rows.column_names)}.")
        given = self.columns.get("image") or ("image" if "image" in images else images[0])
        if given not in images:
            raise UserError(f"{self.place}, {split}: {given!r} holds no images; {', '.join(images)} does.")
        return undecoded(rows.rename_column(given, "image") if given != "image" else rows)
