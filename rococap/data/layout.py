"""Where the files of a split lie in a copy of ROCOv2 or of an ImageCLEF edition, packed or unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rococap.data.ids import bare_id
from rococap.data.image import FileImage, StoredImage
from rococap.data.places import Odd, pictures_below, pictures_in
from rococap.types import SPLITS, Split, UserError

SPLIT_WORDS = {
    "train": {"train", "training"},
    "valid": {"valid", "val", "validation", "validate", "dev"},
    "test": {"test", "testing"},
}

_REPEATED = "images have an id that another image has, and are left out"
_HALF = "files are not as large as in their zip, from which they are read: they were half unpacked"
_SPOILT = "zips cannot be read; what lies unpacked beside them is used"


@dataclass(frozen=True)
class Layout:
    """A dataset's folder, listed once."""

    root: Path
    folders: list[Path]
    zips: list[Path]
    tables: list[Path]

    @classmethod
    def of(cls, root: Path) -> Layout:
        """List a folder; raises UserError where it cannot be listed."""
        try:
            entries = sorted(path for path in root.iterdir() if not path.name.startswith((".", "__MACOSX")))
        except OSError as error:
            raise UserError(f"{root} cannot be listed ({error.strerror}).") from error
        return cls(
            root,
            folders=[path for path in entries if path.is_dir()],
            zips=[path for path in entries if path.suffix.lower() == ".zip" and not path.is_dir()],
            tables=[path for path in entries if path.suffix.lower() in (".csv", ".tsv")],
        )

    def table(self, split: Split, kind: str, *, manual: bool = False) -> Path | None:
        """A split's table of captions or concepts (`kind`), if there is one; of concepts all or the manual ones."""
        found = [path for path in self.tables if _is_of(path, split) and _kind(path) == (kind, manual)]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise UserError(f"{self.root} has several tables of {split} {kind}: {names}.\nKeep one of them there.")
        return found[0] if found else None

    def named(self, name: str) -> Path | None:
        """The table whose file name ends with `name`."""
        return next((path for path in self.tables if path.stem.lower().endswith(name)), None)

    def images(self, split: Split) -> Images:
        """Of its own folders and zips, filled from those that hold several splits; ids tell where names do not.

        A file goes before the same in a zip, except where it is not as large: it was half unpacked then.
        """
        odd: Odd = {}
        places = [*self.folders, *self.zips]
        own = [place for place in places if _is_of(place, split)]
        common = [place for place in places if not any(_is_of(place, each) for each in SPLITS)]
        listed = [entry for place in own for entry in _listed(place, odd, others=len(own) > 1)]
        of_all = [entry for place in common for entry in _listed(place, odd, others=bool(listed) or len(common) > 1)]
        if found := _joined([*listed, *(entry for entry in of_all if _in(entry[0], (split,)))], odd):
            return Images(found, odd)
        told_apart = any(_in(path, SPLITS) for path, _, _ in of_all)
        if told_apart or self.table(split, "captions") is None:  # nothing tells which of them are this split's
            return Images({}, odd)
        return Images(_joined(of_all, odd), odd, shared=True)


@dataclass(frozen=True)
class Images:
    """The images of a split by id; what is odd; and whether those of other splits are among them."""

    found: dict[str, StoredImage]
    odd: Odd
    shared: bool = False


def _listed(place: Path, odd: Odd, *, others: bool) -> list[tuple[PurePosixPath, StoredImage, int | None]]:
    """The images of a folder or zip, by their paths within it; of a zip with their sizes.

    Args:
        others: whether there are other places, so that a spoilt zip may be done without.
    """
    if place.is_dir():
        return [(PurePosixPath(image.path.relative_to(place)), image, None) for image in pictures_below(place, odd)]
    try:
        return [(packed.path, packed.image, packed.size) for packed in pictures_in(place, odd)]
    except UserError as error:
        if not others:
            raise
        odd.setdefault(_SPOILT, []).append(str(error))
        return []


def _joined(listed: Iterable[tuple[PurePosixPath, StoredImage, int | None]], odd: Odd) -> dict[str, StoredImage]:
    found: dict[str, StoredImage] = {}
    for path, image, size in listed:
        name = bare_id(path.name)
        there = found.setdefault(name, image)
        if there is image:
            continue
        if size is None or not isinstance(there, FileImage):
            odd.setdefault(_REPEATED, []).append(name)
        elif there.path.name == path.name and there.path.stat().st_size != size:
            found[name] = image
            odd.setdefault(_HALF, []).append(name)
    return found


def _in(path: PurePosixPath, splits: Iterable[Split]) -> bool:
    return any(_words(part) & SPLIT_WORDS[split] for part in path.parts[:-1] for split in splits)


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def _is_of(path: Path, split: Split) -> bool:
    # A folder's name may hold a dot; that of a file ends with what kind it is.
    return bool(_words(path.name if path.is_dir() else path.stem) & SPLIT_WORDS[split])


def _kind(path: Path) -> tuple[str, bool]:
    # ImageCLEF's files of concepts also say "Caption" in their names: the task's name.
    words = _words(path.stem)
    if words & {"concept", "concepts", "cuis"}:
        return "concepts", "manual" in words
    return ("captions" if words & {"caption", "captions"} else "other"), False
