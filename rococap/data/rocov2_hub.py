"""ROCOv2 from its Hugging Face mirror, eltorio/ROCOv2-radiology, through `datasets`.

The mirror holds PNG re-encodings, the manual concepts only (an empty list as ['nan']), and no licence per image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rococap.data.image import StoredImage, UnreadableImage
from rococap.data.pictures.dicom import USUAL, View
from rococap.data.splits import Loaded, SplitSource
from rococap.data.tables import bare_id
from rococap.types import Concept, Example, Split, UserError

MIRROR = "eltorio/ROCOv2-radiology"
COLUMNS = ("image", "image_id", "caption", "cui")
NAMES: dict[Split, str] = {"train": "train", "valid": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class RowImage(StoredImage):
    """The image of a row. The rows are memory-mapped by `datasets`; bytes are fetched when it is opened."""

    rows: Any  # datasets.Dataset, images undecoded
    number: int
    name: str
    holders: tuple[Path, ...]  # the files of all rows
    view: View = USUAL

    def __str__(self) -> str:
        return self.name

    @property
    def files(self) -> tuple[Path, ...]:
        return self.holders

    @property
    def part(self) -> str:
        return str(self.number)

    def content(self) -> bytes:
        image = self.rows[self.number]["image"]
        if not image or not image["bytes"]:
            raise UnreadableImage(f"{self}: the row has no image")
        return bytes(image["bytes"])


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
        table = rows.select_columns(["image_id", "caption", "cui"])[:]
        holders = tuple(Path(file["filename"]) for file in rows.cache_files)
        examples: dict[str, Example] = {}
        repeated, empty = [], []
        for number, (name, caption, cuis) in enumerate(zip(*table.values(), strict=True)):
            name, caption = bare_id(name), (caption or "").strip()
            if name in examples:
                repeated.append(name)
            elif not caption:
                empty.append(name)
            else:
                concepts = tuple(Concept(cui, manual=True) for cui in cuis or () if cui != "nan")
                image = RowImage(rows, number, f"{where}, {name}", holders)
                examples[name] = Example(name, image, (caption,), concepts)
        if not examples:
            raise UserError(f"{where} has no row with a caption.")
        found = {"rows repeat an id; the first of each is kept": repeated, "captions are empty; left out": empty}
        problems = {what: names for what, names in found.items() if names}
        return Loaded(list(examples.values()), problems)

    def _rows(self, split: Split) -> Any:
        """datasets.Dataset of a split, images undecoded."""
        try:
            import datasets
        except ImportError as error:
            raise UserError('data=rocov2_hub needs the package datasets: pip install -e ".[hub]"') from error
        try:
            if self.root is None:
                rows = datasets.load_dataset(MIRROR, split=NAMES[split])
            else:
                files = {NAMES[split]: [str(path) for path in self._parquet(split)]}
                rows = datasets.load_dataset("parquet", data_files=files, split=NAMES[split])
        except UserError:
            raise
        except Exception as error:  # the hub's client, its cache and Arrow each have errors of their own
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(
                f"{self.root or MIRROR} could not be read by datasets ({reason}).\n"
                "Check the connection, or give a directory of the mirror's parquet files with data.root=DIR."
            ) from error
        return rows.cast_column("image", datasets.Image(decode=False)) if "image" in rows.column_names else rows

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
        return files
