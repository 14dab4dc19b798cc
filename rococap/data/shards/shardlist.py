"""Which shards a dataset has: those of a folder, or those that a pattern of paths or URLs names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from rococap.data.layout import SPLIT_WORDS
from rococap.data.shards.package import module
from rococap.types import SPLITS, UserError

INDEX = "index.jsonl"
_SUFFIX = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz)$", re.IGNORECASE)
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")  # of two letters at least: one is a drive
_IN_COMMAND = re.compile(r"[^\s'\"|<>=]+\.(?:tar(?:\.\w+)?|tgz)\b")
_NUMBERED = re.compile(r"^(?P<name>.*?)(?P<number>\d+)(?:-of-(?P<total>\d+))?(?P<suffix>\.[a-z.\d]+)$", re.IGNORECASE)
_SHOWN = 3


@dataclass(frozen=True)
class Shard:
    """A tar file.

    Attributes:
        url: as the package webdataset opens it; of a file that is here, its path.
        split: that its name or its folder says; empty where they say none.
        size: bytes when unpacked, as its index has it; 0 where that is not known yet.
    """

    url: str
    split: str = ""
    size: int = 0

    def __str__(self) -> str:
        return said(self.url)

    @cached_property
    def path(self) -> Path | None:
        """Of a file that is here; None behind a URL."""
        return None if is_url(self.url) else Path(self.url)

    @property
    def name(self) -> str:
        """Of the file, without its folders."""
        return _file(self.url).name


def is_url(place: str) -> bool:
    """Whether it is none of a file that is here."""
    return bool(_URL.match(place)) and not place.startswith("file:")


def said(url: str) -> str:
    """A URL for messages: without passwords and signatures."""
    if not is_url(url) or url.startswith("pipe:"):
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def shards_of(root: str) -> list[Shard]:
    """The shards of a folder, or those that a pattern names: braces, `::` between several, see the package webdataset.

    Raises:
        UserError: there are none, or some are missing.
    """
    if not is_url(root) and (folder := Path(root).expanduser()).is_dir():
        urls = [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and _is_shard(path, folder)]
        if not urls:
            raise UserError(f"{folder} holds no shards (.tar, .tar.gz).\nOthers are named by data.root=PATTERN.")
        _require_all_numbers(urls, root, chosen=False)
        return _with_splits(urls, root)
    urls = [_without_file(url) for url in expanded(root)]
    if twice := [url for number, url in enumerate(urls) if url in urls[:number]] if len(urls) < 10_000 else []:
        raise UserError(f"data.root={said(root)} names {said(twice[0])} twice.")
    missing = [url for url in urls if not is_url(url) and not Path(url).is_file()]
    if missing:
        shown = ", ".join(missing[:_SHOWN])
        raise UserError(f"{len(missing):,} of {len(urls):,} shards are not there: {shown}.\nGet them, or name others.")
    _require_all_numbers(urls, root, chosen=True)
    return _with_splits(urls, root)


def expanded(root: str) -> list[str]:
    """What a pattern names; raises UserError where it is none."""
    if not any(mark in root for mark in ("{", "::", "${")):
        return [root]
    try:
        return list(module("shardlists").expand_urls(root))
    except UserError:
        raise
    except Exception as error:  # of braces that do not match, and assertions about variables
        raise UserError(f"data.root={said(root)} is no pattern of shards ({error}).") from error


def index_url(root: str) -> str | None:
    """Where the index of a folder behind a URL lies; None where shards themselves are named."""
    folder = is_url(root) and not root.startswith("pipe:") and "{" not in root and "::" not in root
    if not folder or _SUFFIX.search(urlsplit(root).path):
        return None
    return beside(root, INDEX)


def beside(root: str, name: str) -> str:
    """The URL of a file in a folder; what follows a question mark stays behind it."""
    parts = urlsplit(root)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


def split_said(url: str, root: str = "") -> str:
    """The split that a shard's name says, or the nearest folder that is called as one; empty where none does."""
    path = _file(url)
    words = set(re.split(r"[^a-z]+", _SUFFIX.sub("", path.name).lower()))
    named = [split for split in SPLITS if words & SPLIT_WORDS[split]]
    if len(named) > 1:
        raise UserError(f"{said(url)} is called by several splits: {', '.join(named)}.\nName it by one of them.")
    folders = path.relative_to(root).parts[:-1] if root and path.is_relative_to(root) else path.parts[-2:-1]
    named += [split for folder in reversed(folders) for split in SPLITS if folder.lower() in SPLIT_WORDS[split]]
    return named[0] if named else ""


def _with_splits(urls: Sequence[str], root: str) -> list[Shard]:
    folder = "" if is_url(root) else str(Path(root).expanduser())
    shards = [Shard(url, split_said(url, folder)) for url in urls]
    silent = [shard for shard in shards if not shard.split]
    if silent and len(silent) < len(shards):
        raise UserError(
            f"{len(silent):,} of {len(shards):,} shards do not say of which split they are, such as {silent[0]}.\n"
            "Name them by train, valid or test as the others are, or put them into folders called so."
        )
    return shards


def _is_shard(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    return bool(_SUFFIX.search(path.name)) and not hidden


def _file(url: str) -> PurePosixPath:
    """Path of the file that a URL ends in; of a command, of the last shard that it names."""
    if url.startswith("pipe:"):
        names = _IN_COMMAND.findall(url)
        return PurePosixPath(names[-1] if names else "command.tar")
    return PurePosixPath(unquote(urlsplit(url).path)) if is_url(url) else PurePosixPath(Path(url).as_posix())


def _without_file(url: str) -> str:
    return unquote(urlsplit(url).path) if url.startswith("file:") else url if is_url(url) else str(_home(url))


def _home(path: str) -> Path:
    return Path(path).expanduser()


def _require_all_numbers(urls: Iterable[str], root: str, *, chosen: bool) -> None:
    """Refuse what has gaps, or says of itself that there are more. `chosen`: the numbers are those that were named."""
    series: dict[tuple[str, str], list[re.Match[str]]] = {}
    for url in urls:
        path = _file(url)
        if found := _NUMBERED.match(path.name):
            series.setdefault((str(path.parent), found["name"] + found["suffix"]), []).append(found)
    for (folder, _), found_of in series.items():
        totals = sorted({int(found["total"]) for found in found_of if found["total"]})
        if len(totals) > 1 and not chosen:
            raise UserError(f"{folder}: some shards are of {totals[0]}, some of {totals[1]}: two sets lie there.")
        if missing := list(_missing(found_of, totals[0] if totals else None)) if not chosen else []:
            shown = ", ".join(missing[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
            raise UserError(
                f"{said(root)}: {len(missing):,} shards are missing between or before those that are there: {shown}.\n"
                "Get them, or name those that you want: data.root='PATH/train-{000000..000009}.tar'"
            )


def _missing(found: Sequence[re.Match[str]], total: int | None) -> Iterator[str]:
    numbers = {int(each["number"]) for each in found}
    lowest = min(found, key=lambda each: int(each["number"]))
    width, counted = len(lowest["number"]), lowest["number"].startswith("0") or total is not None
    # A number that is not filled up with zeros may be a year: such a series begins where it begins.
    first = min(numbers) if not counted else min(1, min(numbers))
    last = max(numbers) if total is None else max(max(numbers), total - 1 + first)
    for number in range(first, last + 1):
        if number not in numbers:
            of = f"-of-{lowest['total']}" if lowest["total"] else ""
            yield f"{lowest['name']}{number:0{width}}{of}{lowest['suffix']}"
