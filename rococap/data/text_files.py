"""Text files of any usual encoding, read right or refused."""

from __future__ import annotations

import gzip
import logging
import zlib
from pathlib import Path

from rococap.types import UserError

log = logging.getLogger(__name__)

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_told: set[Path] = set()
_FOREIGN = 0.3  # of a text's letters are not ASCII: no language that cp1252 is for has so many


def read_text(path: Path) -> str:
    """A text file's text, unpacked where its name ends with .gz.

    It is UTF-8, or UTF-16 where it begins with that one's mark. What is neither is taken for cp1252, as Excel saves CSV
    in western Europe, where nothing speaks against it; the log says so.

    Raises:
        UserError: the file cannot be read, or its encoding is not certain.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be unpacked ({error}).\nDownload it again.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise UserError(f"{path} is damaged: it begins as {encoding} ({error}).\nDownload it again.") from error
        text = _western(path, content, error)
    before, zero, _ = text.partition("\0")
    if zero:
        line = before.count("\n") + 1
        raise UserError(f"{path} is no text: line {line} holds a zero byte.\nSave it as UTF-8.")
    return text


def _western(path: Path, content: bytes, error: UnicodeDecodeError) -> str:
    """Text in cp1252; raises UserError where it may be something else."""
    line = content.count(b"\n", 0, error.start) + 1
    as_utf8 = [letter for letter in content.decode(errors="replace") if not letter.isascii()]
    # In other encodings letters hardly ever follow one another as the bytes of one do in UTF-8.
    damaged = as_utf8.count("\ufffd") <= len(as_utf8) / 2
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    foreign = sum(not letter.isascii() for letter in text) > _FOREIGN * max(1, sum(map(str.isalpha, text)))
    if damaged or not text or foreign:
        kind = "UTF-8, and damaged" if damaged else "neither UTF-8 nor certainly cp1252"
        raise UserError(f"{path} is {kind}: line {line} ({error.reason}).\nDownload it again, or save it as UTF-8.")
    # Once, however often a file is read; of text files once for a folder, which may hold one for each image.
    place = path.parent if path.suffix.lower() == ".txt" else path
    if place not in _told:
        _told.add(place)
        log.warning("%s is not UTF-8 (line %d): read as cp1252, as Excel saves CSV", path, line)
    return text
