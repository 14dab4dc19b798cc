"""Checksums of image files: what tells a copy of a dataset from another, wherever it lies and whenever it was copied.

A file is read once, and again where its size or one of its times is another.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rococap.cli import with_progress
from rococap.data.image import StoredImage
from rococap.data.kept import keys
from rococap.data.kept.files import write_whole
from rococap.data.kept.folders import REMEDY, cache_folder, writing
from rococap.types import LazyImage

UNREADABLE = "unreadable"  # in place of a checksum
# Some file systems note times in steps of two seconds: what was changed within them may change once more unseen.
SETTLED = 2.0
_PART = 64  # images that a thread reads at a time
_EVERY = 30.0  # seconds of reading that a process which is killed may lose


@dataclass(frozen=True)
class _State:
    """How some files lie there. `name`: another where any of them was touched; `changed`: when the last of them was."""

    name: str
    changed: float


def checksums(images: Sequence[LazyImage], place: str) -> list[str]:
    """CRC-32 of each image file's bytes, in hex; or `UNREADABLE`, which is what a damaged one is to any run.

    Args:
        images: that lie in files.
        place: what is read is kept under this name.
    """
    stored = [image for image in images if isinstance(image, StoredImage)]
    assert len(stored) == len(images)
    folder = cache_folder("checksums", keys.Checksums(place).digest(), "images")
    begun, states = time.time(), {files: _state(files) for files in {image.files for image in stored}}
    names = [f"{states[image.files].name}/{image.part}" for image in stored]
    known = _kept(folder)
    if any(name not in known for name in names):
        with writing(folder):
            known = _kept(folder)  # another process may have read some meanwhile
            missing = {name: image for name, image in zip(names, stored, strict=True) if name not in known}
            settled = {files for files, state in states.items() if state.changed < begun - SETTLED}
            lasting = [name for name, image in zip(names, stored, strict=True) if image.files in settled]
            kept = time.monotonic()
            try:
                for name, checksum in zip(missing, _read(list(missing.values())), strict=True):
                    known[name] = checksum
                    if time.monotonic() - kept > _EVERY:
                        _keep(folder, lasting, known)
                        kept = time.monotonic()
            finally:
                _keep(folder, lasting, known)
    return [known[name] for name in names]


def _state(files: tuple[Path, ...]) -> _State:
    try:
        facts = [file.stat() for file in files]
    except OSError:
        return _State(repr(files), time.time())
    # A time of change cannot be set, other than that of modification.
    states = [(str(file), f.st_size, f.st_mtime_ns, f.st_ctime_ns) for file, f in zip(files, facts, strict=True)]
    changed = max((max(f.st_mtime, f.st_ctime) for f in facts), default=time.time())
    return _State(hashlib.sha256(repr(states).encode()).hexdigest()[:16], changed)


def _read(images: Sequence[StoredImage]) -> Iterator[str]:
    parts = [images[first : first + _PART] for first in range(0, len(images), _PART)]
    pool = ThreadPoolExecutor()  # reading, unpacking and summing up are done outside the interpreter's lock
    try:
        found = pool.map(lambda part: [_checksum(image) for image in part], parts)
        for part in with_progress(found, len(images), "images", "checking image files", len):
            yield from part
    finally:
        pool.shutdown(cancel_futures=True)  # at Ctrl-C nobody waits for the rest


def _checksum(image: StoredImage) -> str:
    try:
        return f"{zlib.crc32(image.content()):08x}"
    except Exception:  # whatever it is, the image cannot be had
        return UNREADABLE


def _kept(folder: Path) -> dict[str, str]:
    try:
        checksum, _, text = (folder / "checksums.json").read_bytes().partition(b"\n")
        return dict(json.loads(text)) if int(checksum, 16) == zlib.crc32(text) else {}
    except (OSError, ValueError):
        return {}


def _keep(folder: Path, lasting: Sequence[str], known: Mapping[str, str]) -> None:
    """Note what is known by these names, but for images that cannot be had: they may come back."""
    found = {name: known[name] for name in lasting if known.get(name, UNREADABLE) != UNREADABLE}
    text = json.dumps(found).encode()
    write_whole(folder / "checksums.json", f"{zlib.crc32(text):08x}\n".encode() + text, REMEDY)
