"""What shards hold: read from them in one pass, and kept; or from the index that lies beside them."""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from rococap.cli import with_progress
from rococap.data.image import SUFFIXES
from rococap.data.kept import keys
from rococap.data.kept.checksums import SETTLED
from rococap.data.kept.files import write_whole
from rococap.data.kept.folders import REMEDY, cache_folder
from rococap.data.pictures.dicom import is_dicom
from rococap.data.shards.reading import Damaged, Unreachable, fetched_text, members, state, unpacked
from rococap.data.shards.shardlist import INDEX, Shard, beside, index_url, said, shards_of, split_said
from rococap.types import UserError

log = logging.getLogger(__name__)

FORMAT = 1
_THREADS = 8  # shards that are read at a time; most of it is waiting
_TEXTS = ("txt", "text", "caption", "cap")
_SHOWN = 3

LONE_TEXT = "texts have no image beside them in their shard and are left out"
SEVERAL = "keys have several images, or two files of one name, and are left out (a key ends at its file's first dot)"
BAD_TEXT = "texts in shards cannot be read (JSON objects and UTF-8 can) and their images are left out"
OTHERS = "files in shards are no images, texts or JSON and are not read"


@dataclass(frozen=True, slots=True)
class Sample:
    """An image in a shard, and what is said of it there.

    Attributes:
        member: the image file's name in the shard.
        offset, size: where its bytes lie in the unpacked shard.
        checksum: CRC-32 of them.
        text: of a file such as `key.txt`; None where there is none.
        fields: of `key.json`.
    """

    key: str
    member: str
    offset: int
    size: int
    checksum: int
    text: str | None
    fields: Mapping[str, Any]


@dataclass
class Held:
    """What a shard holds. `size`: bytes when unpacked; `problems`: what is odd -> names in it."""

    size: int
    samples: list[Sample]
    problems: dict[str, list[str]] = field(default_factory=dict)


def indexed(root: str) -> list[tuple[Shard, Held]]:
    """The shards of a dataset, in order, and what they hold.

    Raises:
        UserError: shards are missing, damaged, empty or cannot be reached, or their index is of others.
    """
    beside_them = index_url(root)
    folder = Path(root).expanduser()
    if beside_them is not None:
        return _listed(fetched_text(beside_them), root)
    shards = shards_of(root)
    if (file := folder / INDEX).is_file():
        return _as_they_are(_listed(file.read_bytes(), str(folder)), shards, file)
    return _scanned(shards)


def index_text(shards: Sequence[tuple[str, Held]]) -> str:
    """The index that lies beside shards; each with its name."""
    head = {"rococap": FORMAT, "shards": [[name, held.size, len(held.samples)] for name, held in shards]}
    rows = (
        json.dumps([number, *_row(sample)], ensure_ascii=False)
        for number, (_, held) in enumerate(shards)
        for sample in held.samples
    )
    return "\n".join([json.dumps(head), *rows, ""])


def scan(shard: Shard) -> Held:
    """Read a shard through; raises Damaged or Unreachable."""
    keys_there: dict[str, dict[str, Any]] = {}
    size, problems = 0, dict[str, list[str]]()

    def odd(what: str, name: str) -> None:
        problems.setdefault(what, []).append(name)

    with unpacked(shard) as stream:
        for member in members(stream, shard):
            size = member.offset + len(member.content)
            key, ending = key_of(member.name)
            if PurePosixPath(member.name).name.startswith((".", "__")):
                continue
            kind = _kind(ending, member.content)
            if kind == "other":
                odd(OTHERS, member.name)
                continue
            there = keys_there.setdefault(key, {"images": [], "names": set(), "text": None, "fields": {}, "bad": False})
            if ending.lower() in there["names"]:
                there["images"] += [None, None]
            there["names"].add(ending.lower())
            if kind == "image":
                there["images"].append((member.name, member.offset, len(member.content), zlib.crc32(member.content)))
            else:
                try:
                    text = member.content.decode("utf-8-sig")
                    there[kind] = " ".join(text.split()) if kind == "text" else dict(json.loads(text))
                except (ValueError, TypeError, RecursionError):
                    there["bad"] = True
    samples = []
    for key, there in keys_there.items():
        images = [image for image in there["images"] if image is None or _plain(image[0])] or there["images"]
        if there["bad"]:
            odd(BAD_TEXT, key)
        elif len(images) == 1 and images[0] is not None:
            member, offset, length, checksum = images[0]
            samples.append(Sample(key, member, offset, length, checksum, there["text"], there["fields"]))
        else:
            odd(SEVERAL if images else LONE_TEXT, key)
    return Held(size, samples, problems)


def key_of(name: str) -> tuple[str, str]:
    """A file's key and ending, as webdataset parts them: at the first dot of its name. A DICOM file may have none."""
    folder, slash, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return f"{folder}{slash}{stem}", ending


def _plain(name: str) -> bool:
    return "." not in key_of(name)[1]


def _kind(ending: str, content: bytes) -> str:
    last = ending.rpartition(".")[2].lower()
    if f".{last}" in SUFFIXES or is_dicom(content):
        return "image"
    return "fields" if last == "json" else "text" if last in _TEXTS else "other"


def _row(sample: Sample) -> list[Any]:
    s = sample
    return [s.key, s.member, s.offset, s.size, s.checksum, s.text, dict(s.fields)]


def _listed(content: bytes, root: str) -> list[tuple[Shard, Held]]:
    where = f"{said(root)}/{INDEX}"
    try:
        # Captions hold other ends of lines, such as U+2028.
        head, *rows = filter(None, content.decode("utf-8").split("\n"))
        facts = json.loads(head)
        if facts["rococap"] != FORMAT:
            raise UserError(f"{where} is of another version of rococap.\nWrite the shards again, or delete it.")
        found = [(_named(root, str(name)), Held(int(size), [])) for name, size, _ in facts["shards"]]
        for row in rows:
            number, *values = json.loads(row)
            found[number][1].samples.append(Sample(*values))
        counts = [int(count) for *_, count in facts["shards"]]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(
            f"{where} is no index of shards ({type(error).__name__}).\nCopy it anew, or name the shards: "
            "data.root='PATH/train-{000000..000009}.tar'"
        ) from error
    if counts != [len(held.samples) for _, held in found]:
        raise UserError(f"{where} is cut: it lists fewer images than it says.\nCopy it anew.")
    return [(replace(shard, size=held.size), held) for shard, held in found]


def _named(root: str, name: str) -> Shard:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ValueError(name)
    url = beside(root, name) if index_url(root) else str(Path(root) / name)
    return Shard(url, split_said(url, "" if index_url(root) else root))


def _as_they_are(found: list[tuple[Shard, Held]], there: Sequence[Shard], file: Path) -> list[tuple[Shard, Held]]:
    """An index that lies beside shards, if it is theirs."""
    listed, names = {shard.url for shard, _ in found}, {shard.url for shard in there}
    wrong = [f"lacks {Path(url).name}" for url in sorted(names - listed)]
    wrong += [f"names {Path(url).name}, which is not there" for url in sorted(listed - names)]
    for shard, _ in found:
        if shard.url in names and shard.path is not None and shard.path.stat().st_size < shard.size:
            wrong.append(f"is not of {shard.name}, which is shorter: cut, or another")
    if wrong:
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise UserError(f"{file} {wrong[0]}{more}.\nCopy the shards anew, or delete {INDEX} if they are right.")
    return found


def _scanned(shards: Sequence[Shard]) -> list[tuple[Shard, Held]]:
    folder = cache_folder("shards", "indexes", "all")
    pool = ThreadPoolExecutor(_THREADS)
    try:
        results = pool.map(lambda shard: _kept(shard, folder), shards)
        found = list(with_progress(results, len(shards), "shards", "reading what shards hold", lambda _: 1))
    finally:
        pool.shutdown(cancel_futures=True)
    faults = [held for held in found if isinstance(held, UserError)]
    if faults:
        shown = "; ".join(str(fault).rstrip(".") for fault in faults[:_SHOWN])
        more = "; ..." if len(faults) > _SHOWN else ""
        raise UserError(
            f"{len(faults):,} of {len(shards):,} shards cannot be read: {shown}{more}.\n"
            "Get them anew, or name the others: data.root=PATTERN"
        )
    return [
        (replace(shard, size=held.size), held)
        for shard, held in zip(shards, found, strict=True)
        if isinstance(held, Held)
    ]


def _kept(shard: Shard, folder: Path) -> Held | UserError:
    """What a shard holds, as it was read before where nothing tells that it has changed; or what is wrong with it."""
    try:
        begun, now = time.time(), state(shard)
        file = folder / f"{keys.ShardIndex(keys.Shard(shard.url), now).digest()}.json"
        if (held := _read(file)) is None:
            held = scan(shard)
            if shard.path is None or max(shard.path.stat().st_mtime, shard.path.stat().st_ctime) < begun - SETTLED:
                text = json.dumps([held.size, held.problems, list(map(_row, held.samples))])
                write_whole(file, f"{zlib.crc32(text.encode()):08x}\n{text}", REMEDY)
        return held if held.samples else Damaged(f"{shard} holds no image")
    except (Damaged, Unreachable) as error:
        return error
    except OSError as error:
        return UserError(f"{shard} cannot be read ({error.strerror})")


def _read(file: Path) -> Held | None:
    try:
        checksum, _, text = file.read_bytes().partition(b"\n")
        if int(checksum, 16) != zlib.crc32(text):
            return None
        size, problems, rows = json.loads(text)
        return Held(size, [Sample(*row) for row in rows], problems)
    except (OSError, ValueError, TypeError):
        return None


def problems_of(found: Sequence[tuple[Shard, Held]]) -> Iterator[tuple[str, list[str]]]:
    """What is odd in shards -> `shard/name` of each."""
    kinds = dict.fromkeys(what for _, held in found for what in held.problems)
    for what in kinds:
        yield what, [f"{shard.name}/{name}" for shard, held in found for name in held.problems.get(what, [])]
