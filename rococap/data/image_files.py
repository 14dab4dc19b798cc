"""The image files below a folder, loose and in zips, found by what a table calls them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from rococap.data.image import SUFFIXES, FileImage, StoredImage, ZipImage, is_picture, is_picture_file
from rococap.data.layout import OUTSIDE
from rococap.types import UserError


class ImageFiles:
    """Those below a folder. It is searched only for what does not lie where its name says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, name: str) -> StoredImage | None:
        """By path, by name, or by name without suffix; None where there is none, or several that differ.

        Args:
            name: relative to the folder, or absolute.
        """
        name = name.replace("\\", "/")
        direct = self.folder / name
        if direct.is_file() and is_picture_file(direct):
            return FileImage(direct)
        path = PurePosixPath(name)
        keys = (str(path), path.name, path.stem if path.suffix.lower() in SUFFIXES else path.name)
        found = [self._by_name[key] for key in keys if key in self._by_name]
        return found[0] if found else None

    def below(self) -> list[tuple[PurePosixPath, StoredImage]]:
        """All, by their paths from the folder on, in order."""
        return sorted(self._walked(), key=lambda entry: entry[0])

    @cached_property
    def _by_name(self) -> dict[str, StoredImage | None]:
        names: dict[str, StoredImage | None] = {}
        for path, image in self.below():
            names[str(path)] = image
            for short in {path.name, path.stem} - {str(path)}:
                names[short] = None if short in names else image
        return names

    def _walked(self) -> Iterator[tuple[PurePosixPath, StoredImage]]:
        seen: set[tuple[int, int]] = set()
        for place, inside, files in os.walk(self.folder, followlinks=True):
            facts = os.stat(place)
            if (facts.st_dev, facts.st_ino) in seen:  # links can lead round in circles
                inside.clear()
                continue
            seen.add((facts.st_dev, facts.st_ino))
            inside[:] = sorted(name for name in inside if not name.startswith((".", "__MACOSX")))
            for name in sorted(file for file in files if not file.startswith(".")):
                path = Path(place, name)
                if path.suffix.lower() == ".zip":
                    yield from _packed(path)
                elif is_picture_file(path):
                    yield PurePosixPath(path.relative_to(self.folder)), FileImage(path)


def _packed(archive: Path) -> Iterator[tuple[PurePosixPath, StoredImage]]:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [
                member.filename
                for member in opened.infolist()
                if not member.is_dir() and is_picture(PurePosixPath(member.filename).name, partial(opened.open, member))
            ]
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{archive} cannot be read ({error}).\nCopy it anew, or move it elsewhere.") from error
    for name in names:
        if not OUTSIDE.search(name):
            yield PurePosixPath(name), ZipImage(archive, name)
