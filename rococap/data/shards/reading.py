"""A shard as a stream of bytes, from a file or by what the package webdataset opens; and its members, none lost.

Python's tarfile ends in silence where a header is damaged, or where a file stops between two members; webdataset, which
reads by it, does so too. Here these are errors.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

from rococap.data.shards.package import module
from rococap.data.shards.shardlist import Shard
from rococap.types import UserError

BLOCK = 1 << 20  # bytes read at a time
_PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"{")
# Of curl, by which webdataset fetches most URLs.
_REASONS = {
    6: "the host is unknown",
    7: "the host refuses the connection",
    18: "the connection ended before the file did",
    22: "the server has no such file, or refuses it",
    28: "the server does not answer",
    35: "no secure connection can be made",
    56: "the connection was lost",
    60: "the server's certificate is not trusted",
    127: "the command is not installed",
}


class Unreachable(UserError):
    """What could not be fetched, and perhaps can be a little later."""


class Damaged(UserError):
    """What was fetched, and is no whole tar file."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a shard. `offset`: where its bytes begin in the unpacked shard."""

    name: str
    offset: int
    content: bytes


@contextmanager
def unpacked(shard: Shard) -> Iterator[BinaryIO]:
    """A shard's bytes, unpacked where it is packed.

    Raises:
        Unreachable: it cannot be opened, or what delivers it ends with an error.
        Damaged: what comes is empty or a page.
    """
    with _delivered(shard) as raw:
        stream = io.BufferedReader(_Raw(raw), BLOCK)
        begins = stream.peek(64)[:64]
        if not begins:
            raise Damaged(f"{shard} is empty.")
        if begins.lstrip().lower().startswith(_PAGE):
            raise Damaged(f"{shard} is no tar file but a page or a message, as servers send in place of a file.")
        opener = next((opener for magic, opener in _PACKED.items() if begins.startswith(magic)), None)
        yield opener(stream) if opener else stream


def members(stream: BinaryIO, shard: Shard) -> Iterator[Member]:
    """The files of a shard, in its order; raises Damaged where it is not whole."""
    counted = _Counted(stream)
    try:
        with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Strict, bufsize=BLOCK) as tar:  # type: ignore[call-overload]
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                if file is not None:
                    content = file.read()
                    if len(content) != info.size:
                        raise tarfile.ReadError(f"it ends within {info.name}")
                    yield Member(info.name, info.offset_data, content)
                tar.members.clear()  # or it keeps them all
            while rest := tar.fileobj.read(BLOCK):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("more follows behind its end: it is several tar files in one")
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise Damaged(f"{shard} is damaged or cut, after {counted.bytes:,} bytes ({error}).") from error
    except OSError as error:
        if error.errno is not None or isinstance(error, UserError):
            raise
        raise Damaged(f"{shard} is damaged ({error}).") from error


def state(shard: Shard) -> str | None:
    """What tells that a shard is still the same: size and times of a file, what its server says; None: nothing does."""
    if shard.path is not None:
        facts = shard.path.stat()
        return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"
    if urlsplit(shard.url).scheme not in ("http", "https"):
        return None
    with suppress(OSError, ValueError):
        with urllib.request.urlopen(urllib.request.Request(shard.url, method="HEAD"), timeout=30) as answer:
            names = ("ETag", "Last-Modified", "Content-Length")
            found = [answer.headers.get(name) for name in names]
        return " ".join(map(str, found)) if found[0] or found[1] else None
    return None


def fetched_text(url: str) -> bytes:
    """A small file behind a URL, whole; raises Unreachable."""
    with _delivered(Shard(url)) as stream:
        return bytes(stream.read())


@contextmanager
def _delivered(shard: Shard) -> Iterator[Any]:
    """What opens a shard, as it is; where it delivers too little, its own error is the one that is told."""
    stream = _opened(shard)
    try:
        yield stream
    except Exception:
        # A command that was left in the middle ends by a signal: that says nothing. One that had ended says all.
        ended = shard.path is None and not _rest(stream)
        _close(stream, shard, loudly=ended)
        raise
    except BaseException:
        _close(stream, shard, loudly=False)
        raise
    _close(stream, shard, loudly=True)


def _opened(shard: Shard) -> Any:
    try:
        return shard.path.open("rb") if shard.path is not None else module("gopen").gopen(shard.url)
    except UserError:
        raise
    except Exception as error:  # each way to open a URL has errors of its own
        raise Unreachable(f"{shard} cannot be opened ({_reason(error, shard)}).") from error


def _rest(stream: Any) -> bytes:
    with suppress(Exception):
        return bytes(stream.read(1))
    return b""


def _close(stream: Any, shard: Shard, *, loudly: bool) -> None:
    try:
        stream.close()
    except Exception as error:
        if loudly:
            raise Unreachable(f"{shard} cannot be read ({_reason(error, shard)}).") from error


def _reason(error: Exception, shard: Shard) -> str:
    if isinstance(error, FileNotFoundError) and shard.path is None:
        return f"the program {error.filename}, which fetches it, is not installed"
    text = str(getattr(error, "strerror", None) or error).replace(shard.url, str(shard))
    _, found, status = text.partition(": exit ")  # as webdataset tells how a command ended
    if not found:
        return text
    number = status.split()[0]
    return _REASONS.get(int(number), f"the command that reads it ended with {number}")


class _Raw(io.RawIOBase):
    """What has only `read`, as a stream for buffers."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._source.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Counted:
    """Counts what is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.bytes = stream, 0

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self.bytes += len(content)
        return content


class _Strict(tarfile.TarInfo):
    """A header that is damaged or missing is an error wherever it stands."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not bytes(buf).strip(b"\0"):
                raise  # the mark of its end
            raise tarfile.ReadError(str(error) if buf else "it ends without the mark of its end") from error
