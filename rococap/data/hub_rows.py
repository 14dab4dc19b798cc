"""What datasets of the Hugging Face hub share: rows that the package `datasets` reads, and their images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rococap.data.image import StoredImage, UnreadableImage
from rococap.data.pictures.dicom import USUAL, View
from rococap.types import UserError

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?\.\w+")  # how `datasets` names the files of a split


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


def require_whole(files: Iterable[Path]) -> None:
    """Raises UserError where files say of themselves that they are some of several, and others of these are missing."""
    told: dict[Path, dict[int, set[int]]] = {}
    for file in files:
        if part := _PART.fullmatch(file.name):
            name, number, count = file.parent / part[1], int(part[2]), int(part[3])
            told.setdefault(name, {}).setdefault(count, set()).add(number)
    for name, of in told.items():
        if len(of) > 1:
            counts = " and ".join(f"of {count:05}" for count in sorted(of))
            raise UserError(
                f"{name}-*: some are named {counts}: two downloads are mixed.\nKeep the files of one of them."
            )
        [(count, numbers)] = of.items()
        if lacking := sorted(set(range(count)) - numbers):
            names = ", ".join(f"{name.name}-{number:05}-of-{count:05}" for number in lacking[:3])
            raise UserError(
                f"{name.parent}: {len(lacking):,} of {count:,} files of {name.name} are missing: {names}"
                f"{' ...' if len(lacking) > 3 else ''}.\nDownload them too."
            )
