"""ROCOv2 from its Hugging Face mirror, eltorio/ROCOv2-radiology, through `datasets`.

The mirror holds PNG re-encodings, the manual concepts only (an empty list as ['nan']), and no licence per image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rococap.data.concepts import cuis
from rococap.data.hub_rows import RowImage, had, require_whole, undecoded
from rococap.data.ids import bare_id
from rococap.data.records import texts
from rococap.data.splits import Loaded, SplitSource
from rococap.types import Concept, Example, Split, UserError

MIRROR = "eltorio/ROCOv2-radiology"
COLUMNS = ("image", "image_id", "caption")  # and cui, the concepts
NAMES: dict[Split, str] = {"train": "train", "valid": "validation", "test": "test"}


class RocoV2Hub(SplitSource):
    """The mirror's splits; `root` is a directory of its parquet files, or null for the hub and its cache.

    A row with an empty caption is left out, and of rows with one id the first is kept; both are counted in the log.
    """

    def load(self, split: Split) -> Loaded:
        """A split in the mirror's order."""
        rows = self._rows(split)
        where = f"{self.root or MIRROR}, {NAMES[split]}"
        if absent := [column for column in COLUMNS if column not in rows.column_names]:
            raise UserError(f"{where} has no column {absent[0]!r}; it has {', '.join(rows.column_names)}.")
        table = rows.select_columns([name for name in rows.column_names if name in ("image_id", "caption", "cui")])[:]
        listed = table.get("cui") or [None] * len(rows)
        holders = tuple(Path(file["filename"]) for file in rows.cache_files)
        examples: dict[str, Example] = {}
        repeated, empty, nameless = [], [], []
        for number, (given, text, said) in enumerate(zip(table["image_id"], table["caption"], listed, strict=True)):
            name, caption = bare_id(str(given)), str(text or "").strip()
            if given is None:
                nameless.append(f"row {number + 1}")
            elif name in examples:
                repeated.append(name)
            elif not caption:
                empty.append(name)
            else:
                concepts = tuple(Concept(cui, manual=True) for cui in cuis(texts(said)))
                image = RowImage(rows, number, f"{where}, {name}", holders)
                examples[name] = Example(name, image, (caption,), concepts)
        if not examples:
            raise UserError(f"{where} has no row with a caption.")
        found = {
            "rows repeat an id; the first of each is kept": repeated,
            "captions are empty; left out": empty,
            "rows have no id and are left out": nameless,
            "rows have no concepts, for there is no column cui": [] if "cui" in table else list(examples),
        }
        problems = {what: names for what, names in found.items() if names}
        return Loaded(list(examples.values()), problems)

    def _rows(self, split: Split) -> Any:
        """datasets.Dataset of a split, images undecoded."""

        def load(datasets: Any) -> Any:
            if self.root is None:
                return datasets.load_dataset(MIRROR, split=NAMES[split])
            files = {NAMES[split]: [str(path) for path in self._parquet(split)]}
            return datasets.load_dataset("parquet", data_files=files, split=NAMES[split])

        remedy = "give a directory of the mirror's parquet files with data.root=DIR."
        return undecoded(had("rocov2_hub", str(self.root or MIRROR), load, remedy))

    def _parquet(self, split: Split) -> list[Path]:
        assert self.root is not None
        files = sorted(
            path for folder in (self.root, self.root / "data") for path in folder.glob(f"{NAMES[split]}-*.parquet")
        )
        if not files:
            raise UserError(
                f"{self.root} holds no {NAMES[split]}-*.parquet, nor does its folder data.\n"
                f"Download them from https://huggingface.co/datasets/{MIRROR}, or leave data.root out."
            )
        require_whole(files)
        return files
