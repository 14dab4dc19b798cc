"""What datasets of the Hugging Face hub share: rows that the package `datasets` reads, and their images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rococap.data.image import StoredImage, UnreadableImage
from rococap.data.pictures.dicom import USUAL, View
from rococap.types import UserError


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


def had(setting: str, place: str, load: Callable[[Any], Any], remedy: str) -> Any:
    """What `load` gives of the package `datasets`.

    Args:
        setting: the `data=` that wants it, and `place` where it is, for messages.
        remedy: what to do beside checking the connection.

    Raises:
        UserError: the package is not installed, or the data cannot be had.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(f'data={setting} needs the package datasets: pip install -e ".[hub]"') from error
    try:
        return load(datasets)
    except UserError:
        raise
    except Exception as error:  # the hub's client, its cache and Arrow each have errors of their own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{place} could not be read by datasets ({reason}).\nCheck the connection, or {remedy}"
        ) from error


def undecoded(rows: Any) -> Any:
    """datasets.Dataset whose images, in the column `image`, are bytes as they were stored."""
    import datasets

    return rows.cast_column("image", datasets.Image(decode=False)) if "image" in rows.column_names else rows
