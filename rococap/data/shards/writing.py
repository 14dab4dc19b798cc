"""Writes a dataset as shards that rococap, the package webdataset and the package datasets read."""

from __future__ import annotations

import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rococap.cli import with_progress
from rococap.data.image import StoredImage, UnreadableImage, opened
from rococap.data.kept.files import whole_file, write_whole
from rococap.data.pictures.dicom import is_dicom
from rococap.data.shards.index import Held, Sample, index_text
from rococap.data.shards.shardlist import INDEX
from rococap.types import Example, Split, UserError

# What the fields of an image's JSON are called that no one else's would be. Lists are never empty, since the package
# datasets takes their kind from the first images.
FIELDS = {
    "id": "rococap_id",
    "captions": "captions",
    "split": "split",
    "group": "group",
    "licence": "licence",
    "concepts": "concepts",
    "names": "concept_names",
    "manual": "concepts_by_hand",
    "listed": "concepts_listed",
}
_REMEDY = "Free some space, or choose another folder with --shards DIR."
_BEGINNINGS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"GIF8": "gif", b"BM": "bmp", b"II": "tif", b"MM": "tif"}
_SOME = 64  # images that are read at a time
_YES = ("no", "yes")
_LONGEST = 80  # characters of a key


def write_shards(
    splits: Mapping[Split, Sequence[Example]], folder: Path, most: int
) -> tuple[dict[Split, tuple[int, int]], dict[str, str]]:
    """Write `SPLIT-000000.tar` and so on, and `index.jsonl`; images keep their bytes where they lie in files.

    Args:
        most: bytes of a shard, about; it is closed by the image that passes them.

    Returns:
        split -> how many images and shards it has now; and id -> why, of images that cannot be had and are left out.

    Raises:
        UserError: the folder is not empty or cannot be written, or a package that reads the images is missing.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: shards of two sets would mix.\nChoose another with --shards DIR.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}).\n{_REMEDY}") from error
    written: list[tuple[str, Held]] = []
    counts, unreadable = {}, dict[str, str]()
    for split, examples in splits.items():
        read = with_progress(_read(examples), len(examples), "images", f"writing shards of {split}", lambda _: 1)
        waiting = _readable(read, unreadable)
        shards: list[tuple[str, Held]] = []
        while (held := _shard(folder / (name := f"{split}-{len(shards):06}.tar"), waiting, split, most)).samples:
            shards.append((name, held))
        written += shards
        counts[split] = (sum(len(held.samples) for _, held in shards), len(shards))
    write_whole(folder / INDEX, index_text(written), _REMEDY)
    return counts, unreadable


def _keys(examples: Sequence[Example]) -> list[str]:
    """Ids as keys: without dots, at which a key would end, and without what file systems do not take."""
    keys: dict[str, None] = {}
    for example in examples:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", example.id)[:_LONGEST] or "image"
        key, number = plain, 1
        while key in keys:
            number += 1
            key = f"{plain}_{number}"
        keys[key] = None
    return list(keys)


_Waiting = Iterator[tuple[str, Example, bytes]]  # key, example, image file


def _read(examples: Sequence[Example]) -> Iterator[tuple[str, Example, bytes | str]]:
    """Key, example, and its image file or why there is none."""
    keys = _keys(examples)
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(examples), _SOME):
            some = slice(first, first + _SOME)
            yield from zip(keys[some], examples[some], pool.map(_content, examples[some]), strict=True)


def _readable(read: Iterable[tuple[str, Example, bytes | str]], unreadable: dict[str, str]) -> _Waiting:
    for key, example, content in read:
        if isinstance(content, bytes):
            yield key, example, content
        else:
            unreadable[example.id] = content


def _content(example: Example) -> bytes | str:
    """An image file's bytes, of a picture that lies in none a PNG; or why it cannot be had."""
    if isinstance(example.image, StoredImage):
        try:
            return example.image.content()
        except UnreadableImage as error:
            return str(error)
        except (UserError, MemoryError):
            raise
        except Exception as error:  # as many as there are containers
            return f"{example.image}: cannot be read ({error})"
    file = io.BytesIO()
    with opened(example.image) as image:
        image.save(file, "PNG")
    return file.getvalue()


def _shard(path: Path, waiting: _Waiting, split: Split, most: int) -> Held:
    """Write images until there are enough; without any left, nothing is written."""
    held = Held(0, [])
    first = next(waiting, None)
    if first is None:
        return held
    with whole_file(path, _REMEDY) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        key, example, content = first
        while True:
            fields, text = _fields(example, split), " ".join((example.captions or ("",))[0].split())
            member = f"{key}.{_ending(content)}"
            offset = _add(tar, member, content)
            _add(tar, f"{key}.json", json.dumps(fields, ensure_ascii=False).encode(errors="replace"))
            last = _add(tar, f"{key}.txt", text.encode(errors="replace"))
            held.samples.append(Sample(key, member, offset, len(content), zlib.crc32(content), text, fields))
            held.size = last + len(text.encode(errors="replace"))
            if tar.offset >= most or (following := next(waiting, None)) is None:
                return held
            key, example, content = following


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Where its bytes begin."""
    info = tarfile.TarInfo(name)  # of no time and no owner: the same images give the same bytes
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
    blocks = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return int(tar.offset) - blocks


def _ending(content: bytes) -> str:
    if is_dicom(content):
        return "dcm"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((ending for begins, ending in _BEGINNINGS.items() if content.startswith(begins)), "dcm")


def _fields(example: Example, split: Split) -> dict[str, Any]:
    concepts = example.concepts
    return {
        FIELDS["id"]: example.id,
        FIELDS["captions"]: list(example.captions) or [""],
        FIELDS["split"]: split,
        FIELDS["group"]: example.group,
        FIELDS["licence"]: example.attribution,
        FIELDS["concepts"]: [concept.cui for concept in concepts] or [""],
        FIELDS["names"]: [concept.name for concept in concepts] or [""],
        FIELDS["manual"]: [_YES[concept.manual] for concept in concepts] or [_YES[False]],
        FIELDS["listed"]: [_YES[concept.listed] for concept in concepts] or [_YES[False]],
    }
