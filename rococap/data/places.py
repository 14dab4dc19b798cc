"""Where images lie: in folders and in zips. What cannot be followed or unpacked is named, never passed over."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from rococap.data.image import FileImage, ZipImage, is_picture, is_picture_file
from rococap.types import UserError

Odd = dict[str, list[str]]  # what is odd -> which files

_DANGLING = "links lead nowhere and are left out"
_CIRCULAR = "links lead to a folder that is listed already, and are left out"
_LOCKED = "folders cannot be read and are left out"
_OUTSIDE_ITS_ZIP = "members of zips point outside of them and are left out"

_OUTSIDE = re.compile(r"^([A-Za-z]:)?/|(^|/)\.\.(/|$)")
_HIDDEN = (".", "__MACOSX")
_UTF_8, _ENCRYPTED = 0x800, 0x1  # flags of a member, see PKWARE's APPNOTE.TXT 4.4.4
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_METHODS |= {getattr(zipfile, "ZIP_ZSTANDARD", zipfile.ZIP_STORED)}  # since Python 3.14
_DEFLATE64 = 9


@dataclass(frozen=True)
class Packed:
    """An image in a zip, by its path there, with the bytes that it unpacks to."""

    path: PurePosixPath
    image: ZipImage
    size: int


def merged(odds: Iterable[Odd]) -> Odd:
    """What is odd in several places."""
    found: Odd = {}
    for odd in odds:
        for what, files in odd.items():
            found.setdefault(what, []).extend(files)
    return found


def files_below(folder: Path, odd: Odd) -> Iterator[Path]:
    """All files, in the order of their names, links followed; hidden ones are left out."""
    return _below(folder, odd, set())


def pictures_below(folder: Path, odd: Odd) -> Iterator[FileImage]:
    """The image files among `files_below`."""
    return (FileImage(path) for path in files_below(folder, odd) if is_picture_file(path))


def _below(folder: Path, odd: Odd, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        facts = folder.stat()
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        odd.setdefault(_LOCKED, []).append(f"{folder} ({error.strerror})")
        return
    seen.add((facts.st_dev, facts.st_ino))
    for entry in entries:
        if entry.name.startswith(_HIDDEN):
            continue
        try:
            inside = entry.is_dir()
            if entry.is_symlink():
                facts = entry.stat()
                if stat.S_ISDIR(facts.st_mode) and (facts.st_dev, facts.st_ino) in seen:
                    odd.setdefault(_CIRCULAR, []).append(entry.path)
                    continue
        except OSError:
            odd.setdefault(_DANGLING, []).append(entry.path)
            continue
        if inside:
            yield from _below(Path(entry.path), odd, seen)
        else:
            yield Path(entry.path)


def pictures_in(archive: Path, odd: Odd) -> list[Packed]:
    """The images in a zip, in its order.

    Raises:
        UserError: it is damaged, encrypted, or packed by a method that cannot be unpacked here.
    """
    found = []
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                name = _name(member)
                path = PurePosixPath(name)
                if name.endswith("/") or path.name.startswith(_HIDDEN) or path.parts[0].startswith("__MACOSX"):
                    continue
                if _OUTSIDE.search(name):
                    odd.setdefault(_OUTSIDE_ITS_ZIP, []).append(member.filename)
                elif is_picture(path.name, partial(opened.open, member)):
                    _require_unpackable(archive, member)
                    found.append(Packed(path, ZipImage(archive, member.filename), member.file_size))
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"{archive} cannot be read ({error}; {archive.stat().st_size:,} bytes): is it truncated?\n"
            "Download it again; where it comes from its size or checksum is shown."
        ) from error
    return found


def _name(member: zipfile.ZipInfo) -> str:
    """A member's path with slashes; names in UTF-8 that do not say so are read as what they are."""
    name = member.filename
    if not member.flag_bits & _UTF_8 and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:  # it is in some code page
            name = member.filename
    return name.replace("\\", "/")


def _require_unpackable(archive: Path, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise UserError(
            f"{archive} is encrypted ({member.filename}).\n"
            "Unpack it with its password, put the folder in its place, and move the zip elsewhere."
        )
    if member.compress_type not in _METHODS:
        method = "Deflate64" if member.compress_type == _DEFLATE64 else f"method {member.compress_type}"
        raise UserError(
            f"{archive} is packed by {method}, which Python cannot unpack ({member.filename}).\n"
            "Unpack it with unzip or 7-Zip, put the folder in its place, and move the zip elsewhere."
        )
