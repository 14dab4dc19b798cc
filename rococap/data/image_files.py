"""The image files below a folder, loose and in zips, found by what a table calls them."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath

from rococap.data.ids import ByName
from rococap.data.image import SUFFIXES, FileImage, StoredImage, is_picture_file
from rococap.data.places import Odd, files_below, pictures_in


class ImageFiles:
    """Those below a folder. It is searched only for what does not lie where its name says.

    Attributes:
        odd: what was left out of the search -> which files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.odd: Odd = {}

    def find(self, name: str, near: str = "") -> StoredImage | None:
        """By path, by name, or by name without suffix; None where there is none, or several that differ.

        Args:
            name: relative to the folder, or absolute.
            near: a folder in it, to which it may be relative too.
        """
        name = name.replace("\\", "/")
        with suppress(OSError, ValueError):  # what stands there may be no name at all
            for direct in (self.folder / name, self.folder / near / name):
                if direct.is_file() and is_picture_file(direct):
                    return FileImage(direct)
        path = PurePosixPath(name)
        keys = (str(path), path.name, path.stem if path.suffix.lower() in SUFFIXES else path.name)
        found = [self._by_name[key] for key in keys if key in self._by_name]
        return found[0] if found else self._written_otherwise.get(path.name, None)

    def below(self) -> list[tuple[PurePosixPath, StoredImage]]:
        """All, by their paths from the folder on, in order; of a zip that is unpacked there too, what is not."""
        return self._below

    @cached_property
    def _below(self) -> list[tuple[PurePosixPath, StoredImage]]:
        loose, zips = dict[PurePosixPath, StoredImage](), list[Path]()
        for file in files_below(self.folder, self.odd):
            if file.suffix.lower() == ".zip":
                zips.append(file)
            elif is_picture_file(file):
                loose[PurePosixPath(file.relative_to(self.folder))] = FileImage(file)
        called: dict[str, list[PurePosixPath]] = {}
        for path in loose:
            called.setdefault(path.name, []).append(path)
        packed = [each for archive in zips for each in pictures_in(archive, self.odd)]
        absent = [each for each in packed if not any(_ends(path, each.path) for path in called.get(each.path.name, []))]
        return sorted([*loose.items(), *((each.path, each.image) for each in absent)], key=lambda entry: entry[0])

    @cached_property
    def _by_name(self) -> dict[str, StoredImage | None]:
        names: dict[str, StoredImage | None] = {}
        for path, image in self.below():
            names[str(path)] = image
            for short in {path.name, path.stem} - {str(path)}:
                names[short] = None if short in names else image
        return names

    @cached_property
    def _written_otherwise(self) -> ByName[StoredImage | None]:
        names = {path.name for path, _ in self.below()}
        return ByName({name: self._by_name[name] for name in names})


def _ends(path: PurePosixPath, end: PurePosixPath) -> bool:
    """Whether a path is another, or that in some folder."""
    return path.parts[-len(end.parts) :] == end.parts
