"""Where the files of a split lie in a copy of ROCOv2 or of an ImageCLEF edition, packed or unpacked."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rococap.data.image import FileImage, StoredImage, ZipImage, is_picture, is_picture_file
from rococap.data.tables import bare_id
from rococap.types import Split, UserError

SPLIT_WORDS = {
    "train": {"train", "training"},
    "valid": {"valid", "val", "validation", "validate", "dev"},
    "test": {"test", "testing"},
}
OUTSIDE = re.compile(r"^([A-Za-z]:)?[/\\]|(^|[/\\])\.\.([/\\]|$)")  # a path that would leave the archive's folder


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
            zips=[path for path in entries if path.suffix.lower() == ".zip"],
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

    def images(self, split: Split) -> tuple[dict[str, StoredImage], dict[str, list[str]]]:
        """Id -> image of a split, from its folders, or if these hold none, its zips; and what is odd -> names."""
        images: dict[str, StoredImage] = {}
        repeated: list[str] = []
        outside: list[str] = []
        for places, reader in ((self.folders, _in_folder), (self.zips, partial(_in_zip, outside=outside))):
            for place in places:
                for name, stored in reader(place) if _is_of(place, split) else ():
                    if name in images:
                        repeated.append(name)
                    images.setdefault(name, stored)
            if images:
                break
        return images, {
            "images have an id that another image has, and are left out": repeated,
            "members of zips point outside of them and are left out": outside,
        }


def _words(path: Path) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", path.stem.lower()))


def _is_of(path: Path, split: Split) -> bool:
    return bool(_words(path) & SPLIT_WORDS[split])


def _kind(path: Path) -> tuple[str, bool]:
    # ImageCLEF's files of concepts also say "Caption" in their names: the task's name.
    words = _words(path)
    if words & {"concept", "concepts", "cuis"}:
        return "concepts", "manual" in words
    return ("captions" if words & {"caption", "captions"} else "other"), False


def _in_folder(folder: Path) -> Iterator[tuple[str, StoredImage]]:
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _in_folder(Path(entry.path))
        elif is_picture_file(Path(entry.path)):
            yield bare_id(entry.name), FileImage(Path(entry.path))


def _in_zip(archive: Path, outside: list[str]) -> Iterator[tuple[str, StoredImage]]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            pictures = {
                member.filename
                for member in members
                if is_picture(member.filename.rpartition("/")[2], partial(opened.open, member))
            }
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"{archive} cannot be read ({error}; {archive.stat().st_size:,} bytes): is it truncated?\n"
            "Download it again; Zenodo's page shows its size and MD5 sum."
        ) from error
    for member in members:
        folder, _, name = member.filename.rpartition("/")
        if OUTSIDE.search(member.filename):
            outside.append(member.filename)
        elif member.filename in pictures and not folder.startswith("__MACOSX"):
            yield bare_id(name), ZipImage(archive, member.filename)
