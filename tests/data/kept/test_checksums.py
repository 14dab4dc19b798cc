"""Image files are read once; what was touched is read again, and what was changed is told."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from standin import noises

from rococap.data.image import FileImage, StoredImage, ZipImage
from rococap.data.kept import checksums as module
from rococap.data.kept.checksums import UNREADABLE, checksums
from rococap.data.splits import fingerprint
from rococap.types import Concept, Example


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """No time has to pass until a file counts as untouched."""
    monkeypatch.setattr(module, "SETTLED", -60.0)


@pytest.fixture
def read(monkeypatch):
    """The images whose bytes were read."""
    seen: list[str] = []
    for kind in (FileImage, ZipImage):

        def content(image: StoredImage, whole=kind.content) -> bytes:
            seen.append(str(image))
            return whole(image)

        monkeypatch.setattr(kind, "content", content)
    return seen


def files(folder: Path, count: int = 9) -> list[FileImage]:
    folder.mkdir()
    for number, example in enumerate(noises(count)):
        (folder / f"{number}.png").write_bytes(example.image.content)
    return [FileImage(folder / f"{number}.png") for number in range(count)]


def zipped(file: Path, images: list[FileImage]) -> list[ZipImage]:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for image in images:
            archive.write(image.path, image.path.name)
    return [ZipImage(file, image.path.name) for image in images]


def flip(file: Path, place: int) -> None:
    """Change one byte; size and time of modification stay."""
    facts = file.stat()
    with file.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)
        stream.seek(place)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_packed_unpacked_copied_and_touched_are_the_same(tmp_path):
    loose = files(tmp_path / "loose")
    shutil.copytree(tmp_path / "loose", tmp_path / "copy")
    copy = [FileImage(tmp_path / "copy" / image.path.name) for image in loose]
    first = checksums(loose, "loose")
    assert len(set(first)) == len(loose) and UNREADABLE not in first
    assert checksums(zipped(tmp_path / "x.zip", loose), "zip") == checksums(copy, "copy") == first
    for image in loose:
        os.utime(image.path, (0, 0))
    assert checksums(loose, "loose") == first


def test_untouched_files_are_read_once(tmp_path, read):
    images = [*files(tmp_path / "loose"), *zipped(tmp_path / "x.zip", files(tmp_path / "other", 5))]
    first = checksums(images, "place")
    assert sorted(read) == sorted(map(str, images))
    read.clear()
    assert checksums(images, "place") == first and read == []
    os.utime(images[3].files[0])
    assert checksums(images, "place") == first and read == [str(images[3])]
    read.clear()
    assert checksums(images, "elsewhere") == first and len(read) == len(images)


def test_a_file_that_may_still_be_written_to_is_read_again(tmp_path, read, monkeypatch):
    monkeypatch.setattr(module, "SETTLED", 2.0)
    images = files(tmp_path / "loose", 2)
    first = checksums(images, "place")
    assert checksums(images, "place") == first and len(read) == 4


def test_an_interruption_loses_little_and_waits_for_nothing(tmp_path, monkeypatch):
    images = files(tmp_path / "loose", 9)
    monkeypatch.setattr(module, "_PART", 1)
    read, seen = FileImage.content, []

    def content(image: FileImage) -> bytes:
        seen.append(image)
        time.sleep(0.02)
        return read(image)

    def bar(items, *rest):
        for number, item in enumerate(items):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setattr(FileImage, "content", content)
    monkeypatch.setattr(module, "ThreadPoolExecutor", lambda: ThreadPoolExecutor(1))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "with_progress", bar)
        checksums(images, "place")
    assert 4 <= len(seen) < 9
    seen.clear()
    assert UNREADABLE not in checksums(images, "place") and seen == images[3:]


@pytest.mark.parametrize("packed", [False, True])
def test_one_changed_byte_is_told_though_size_and_time_are_the_same(tmp_path, packed):
    images = files(tmp_path / "loose")
    if packed:
        images = zipped(tmp_path / "x.zip", images)
    first = checksums(images, "place")
    flip(images[0].files[0], 70)
    changed = checksums(images, "place")
    assert changed[0] != first[0] and changed[1:] == first[1:]
    assert (changed[0] == UNREADABLE) == packed  # the archive's own checksum speaks against it


def test_what_cannot_be_read_is_no_checksum_and_is_tried_again(tmp_path, read):
    images = files(tmp_path / "loose", 3)
    gone, empty = images[0].path.read_bytes(), images[1]
    images[0].path.unlink()
    empty.path.write_bytes(b"")
    found = checksums(images, "place")
    assert found[:2] == [UNREADABLE] * 2 and found[2] != UNREADABLE
    images[0].path.write_bytes(gone)
    assert checksums(images, "place")[0] not in {UNREADABLE, found[2]}


@pytest.mark.parametrize("damage", [b"", b"no checksum\n{}", b"00000000\n[1"])
def test_a_damaged_note_of_what_was_read_is_left_aside(tmp_path, cache, damage):
    images = files(tmp_path / "loose", 3)
    first = checksums(images, "place")
    [note] = cache.rglob("checksums.json")
    whole = note.read_bytes()
    note.write_bytes(damage or whole.replace(first[0].encode(), b"01234567"))
    assert checksums(images, "place") == first and note.read_bytes() == whole


def test_a_fingerprint_hangs_on_all_that_examples_hold(tmp_path):
    images = files(tmp_path / "loose", 3)
    examples = [Example(str(n), image, ("text",), (Concept("C1", "x"),), "me") for n, image in enumerate(images)]
    others = [
        {"id": "a"},
        {"image": images[1]},
        {"captions": ("other",)},
        {"captions": ("text", "more")},
        {"concepts": ()},
        {"concepts": (Concept("C1", "x", True),)},
        {"concepts": (Concept("C1", "y"),)},
        {"attribution": "you"},
        {"group": "one"},
    ]
    seen = [fingerprint({"test": [replace(examples[0], **other), *examples[1:]]}, "p") for other in [{}, *others]]
    seen += [fingerprint({"valid": examples}, "p"), fingerprint({"test": examples[::-1]}, "p")]
    assert len(set(seen)) == len(seen)
    shutil.copytree(tmp_path / "loose", tmp_path / "copy")
    copied = [replace(e, image=FileImage(tmp_path / "copy" / e.image.path.name)) for e in examples]
    assert fingerprint({"test": copied}, "elsewhere") == seen[0]
