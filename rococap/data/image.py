"""Image files of every kind, opened when needed and read as 8-bit RGB."""

from __future__ import annotations

import os
import threading
import warnings
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from rococap.data.pictures.decode import decode, show
from rococap.data.pictures.dicom import PREAMBLE, USUAL, View, is_dicom
from rococap.types import LazyImage, UserError

SUFFIXES = frozenset({".bmp", ".dcm", ".dicom", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 150_000_000  # a larger image is taken for a decompression bomb
MAX_BYTES = 1 << 30  # the same for an image file, packed or not

_opening = threading.Lock()  # an archive counts its open members, and threads would miscount


class UnreadableImage(UserError):
    """An image that cannot be decoded; the message names it and says why."""


class StoredImage(ABC):
    """An image whose bytes lie in a file, or in a part of one."""

    __slots__ = ()
    view: View

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """The files that hold it: while they are untouched, so is it."""

    @property
    def part(self) -> str:
        """Which part of these files it is; empty where it is all of one."""
        return ""

    @abstractmethod
    def content(self) -> bytes:
        """An image file's bytes, checked where its container has a checksum; raises many errors, or UnreadableImage."""

    def open(self) -> Image.Image:
        # Not by name: Pillow maps an uncompressed TIFF into memory then, and turns it wrongly.
        return decode(self.content(), self.view)


@dataclass(frozen=True, slots=True)
class FileImage(StoredImage):
    """An image file on disk."""

    path: Path
    view: View = USUAL

    def __str__(self) -> str:
        return str(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def content(self) -> bytes:
        require_size(self, self.path.stat().st_size)
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class ZipImage(StoredImage):
    """An image in a zip archive, read in place. Every process opens the archive for itself, once."""

    archive: Path
    member: str
    view: View = USUAL

    def __str__(self) -> str:
        return f"{self.archive}/{self.member}"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.archive,)

    @property
    def part(self) -> str:
        return self.member

    def content(self) -> bytes:
        archive = _archive(self.archive, os.getpid())
        require_size(self, archive.getinfo(self.member).file_size)
        with _opening:
            stream = archive.open(self.member)
        try:
            return stream.read()
        finally:
            with _opening:
                stream.close()


@dataclass(frozen=True, slots=True)
class BytesImage:
    """An image file's bytes in memory, and a name for messages."""

    content: bytes
    name: str

    def __str__(self) -> str:
        return self.name

    def open(self) -> Image.Image:
        return decode(self.content)


def is_picture_file(path: Path) -> bool:
    """See `is_picture`."""
    return is_picture(path.name, lambda: path.open("rb"))


def is_picture(name: str, open_it: Callable[[], IO[bytes]]) -> bool:
    """Whether a file is one by its name; or by how it begins, where that is DICOM's and its name says nothing.

    Args:
        name: without its folder.
        open_it: is called where the name says nothing.
    """
    stem, _, suffix = name.rpartition(".")
    if name.startswith(".") or f".{suffix.lower()}" in SUFFIXES:
        return not name.startswith(".")
    if (stem and not suffix.isdecimal()) or name == "DICOMDIR":  # devices number their files, or name them by UIDs
        return False
    try:
        with open_it() as file:
            return is_dicom(file.read(PREAMBLE + 4))
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):  # locked away, packed oddly, or damaged
        return False


def require_size(image: StoredImage, size: int) -> None:
    """Refuse a file that is empty or too large; raises UnreadableImage."""
    if size == 0:
        raise UnreadableImage(f"{image}: the file is empty (0 bytes)")
    if size > MAX_BYTES:
        raise UnreadableImage(f"{image}: holds {size:,} bytes, more than the limit of {MAX_BYTES:,}")


@lru_cache(maxsize=16)
def _archive(path: Path, process: int) -> zipfile.ZipFile:
    # A forked child shares its parent's file position, so the process is part of the key.
    return zipfile.ZipFile(path)


def read(image: LazyImage) -> Image.Image:
    """Open an image and bring it to RGB; raises UnreadableImage, as `opened` does."""
    with opened(image) as stored:
        return to_rgb(stored)


@contextmanager
def opened(image: LazyImage) -> Iterator[Image.Image]:
    """An image as stored; what goes wrong while it is open, decoding it included, becomes one kind of error.

    Raises:
        UnreadableImage: the file is missing, empty, truncated, no image, or larger than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's doubts; what matters is raised
            with image.open() as stored:
                if (pixels := stored.width * stored.height) > MAX_PIXELS:
                    raise UnreadableImage(f"{image}: {pixels:,} pixels are more than the limit of {MAX_PIXELS:,}")
                yield stored
    except (UserError, MemoryError):
        raise
    except Exception as error:  # damaged bytes make decoders raise nearly anything
        raise UnreadableImage(f"{image}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "the file is no image that can be decoded"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return f"cannot be decoded ({str(error) or type(error).__name__})"


def to_rgb(image: Image.Image) -> Image.Image:
    """See `show`."""
    return show(image).pixels
