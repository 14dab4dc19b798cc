"""Broken data, full disks and stopped builds: each gets a clear answer, and none leaves anything half right."""

from __future__ import annotations

import logging
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from dirty import Copy, packed
from PIL import Image
from standin import Words, noises

from rococap.data.doctor.look import look
from rococap.data.image import FileImage, UnreadableImage, ZipImage, read
from rococap.data.kept import images as store
from rococap.data.kept import keys
from rococap.data.rocov2 import RocoV2
from rococap.types import Example, UserError


@pytest.fixture
def folder(tmp_path) -> Path:
    return Copy(8).write(tmp_path / "data")


# Zips


@pytest.mark.parametrize("kept", [0, 10, 5_000, -30])
def test_a_truncated_zip_is_named(kept, folder):
    archive = folder / "train_images.zip"
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"train_images\.zip cannot be read .* is it truncated\?"):
        RocoV2(str(folder)).examples("train")


def test_a_zip_damaged_in_the_middle_loses_the_images_there_and_no_others(folder, caplog):
    archive = folder / "train_images.zip"
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as packed_images:
        third = packed_images.infolist()[2]
    content[third.header_offset + 2_000] ^= 255
    archive.write_bytes(content)
    examples = RocoV2(str(folder)).examples("train")
    kept = store.open_images(examples, Words(), "key", "train").examples
    assert [example.id for example in kept] == [example.id for number, example in enumerate(examples) if number != 2]
    assert third.filename in caplog.text and "CRC" in caplog.text


@pytest.mark.parametrize("member", ["../evil.jpg", "/evil.jpg", "train/../../evil.jpg", "..\\evil.jpg", "C:\\evil.jpg"])
def test_what_points_outside_of_a_zip_is_no_image_of_it(member, tmp_path):
    copy = Copy(3)
    copy.captions["train"].append(["evil", "text"])
    folder = copy.write(tmp_path / "deep/data", members=[(member, copy.images["train"][copy.ids("train")[0]])])
    source = RocoV2(str(folder))
    assert "evil" not in [example.id for example in source.examples("train")]
    assert ["evil"] in source.problems("train").values() and [member] in source.problems("train").values()
    store.open_images(source.examples("train"), Words(), "key", "train")
    assert list(tmp_path.rglob("*evil*")) == []


# Decompression bombs


def with_size(archive: Path, size: int) -> None:
    """Let a zip's directory claim that its only member unpacks to `size` bytes."""
    content = bytearray(archive.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, entry + 24, size)
    archive.write_bytes(content)


def test_bombs_are_left_out_and_the_rest_is_prepared(tmp_path, caplog):
    Image.new("1", (20_000, 10_000)).save(tmp_path / "wide.png")  # 200 million pixels in 25 KB
    Image.new("1", (12_300, 12_300)).save(tmp_path / "square.png")  # just above the limit, where Pillow only warns
    with zipfile.ZipFile(tmp_path / "huge.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("huge.png", packed(Image.new("L", (9, 9))))
    with_size(tmp_path / "huge.zip", 3 << 30)
    Image.new("L", (9, 9)).save(tmp_path / "good.png")
    images = [FileImage(tmp_path / "wide.png"), FileImage(tmp_path / "square.png")]
    images += [ZipImage(tmp_path / "huge.zip", "huge.png"), FileImage(tmp_path / "good.png")]
    examples = [Example(str(number), image, ()) for number, image in enumerate(images)]
    prepared = store.open_images(examples, Words(), "key", "test")
    assert [example.id for example in prepared.examples] == ["3"]
    assert all("limit" in reason for reason in prepared.unreadable.values()) and len(prepared.unreadable) == 3
    assert look(examples, "key", "test").ids == ["3"]


def test_a_member_that_unpacks_to_more_than_it_claims_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.bmp", packed(Image.new("L", (3_000, 3_000)), "BMP"))
    with_size(tmp_path / "x.zip", 2_000)
    with pytest.raises(UnreadableImage, match=r"x\.bmp"):
        read(ZipImage(tmp_path / "x.zip", "x.bmp"))


# Tables


def test_ten_thousand_bad_rows_of_every_kind_are_a_few_lines(folder, caplog):
    with (folder / "train_captions.csv").open("a", encoding="utf-8") as file:
        file.write("too,many,fields\r\nfew\r\n" * 5_000)
        file.writelines(f"nowhere_{number},text\r\n" for number in range(10_000))
        file.write(f"{Copy(1).ids('train')[0]},again\r\n" * 10_000)
    with caplog.at_level(logging.WARNING):
        assert len(RocoV2(str(folder)).examples("train")) == 8
    assert len(caplog.messages) == 3
    assert all(": 10,000 " in message and len(message) < 300 for message in caplog.messages)


# Full disks


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A real disk of one megabyte, with the cache on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    monkeypatch.setenv("ROCOCAP_CACHE", str(disk))
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_too_small_is_told_before_a_build(small_disk):
    examples = noises(300)
    with pytest.raises(UserError, match=r"Keeping 300 images of train takes .* are free"):
        store.open_images(examples, Words(), "key", "train")
    with pytest.raises(UserError, match="Examining 300 images of train"):
        look(examples, "key", "train")
    assert not list(small_disk.rglob("*.npy"))


def test_a_disk_that_fills_during_a_build_keeps_what_is_whole(small_disk, monkeypatch):
    monkeypatch.setattr(store, "require_space", lambda *_: None)  # another program takes the space meanwhile
    monkeypatch.setattr("rococap.data.kept.rows.CHUNK", 64)
    examples = noises(200)
    monkeypatch.setattr("rococap.data.kept.rows.cores", lambda: 0)
    with pytest.raises(UserError, match=r"(?s)cannot be written \((No space|the disk is full).*ROCOCAP_CACHE"):
        store.open_images(examples, Words(image_size=(48, 48)), "key", "train")
    assert not list(small_disk.rglob("*.tmp"))
    indexes = list(small_disk.rglob("*.json"))
    assert {path.stem for path in indexes} >= {path.stem for path in small_disk.rglob("*.npy")}
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    prepared = store.open_images(examples, Words(image_size=(48, 48)), "key", "train")
    assert all(np.array_equal(prepared[e.id], Words((48, 48)).pixels(read(e.image))) for e in examples)


def test_a_file_that_cannot_grow_is_told_in_one_line(cache):
    """A quota acts so; unlike a small disk, everyone can set one."""
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    code += f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r});"
    code += "from standin import Words, noises; from rococap.data.kept import images as store;"
    code += "from rococap.types import UserError; import rococap.data.kept.rows, torch;"
    code += "examples = noises(64);"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    code += "try: store.open_images(examples, Words(), 'key', 'train')\nexcept UserError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cannot be written" in done.stdout and "(None)" not in done.stdout and done.stderr == "", done.stderr
    assert not [*cache.rglob("*.npy"), *cache.rglob("*.tmp")]


# Old and changed caches, stopped builds


def test_a_cache_of_an_older_version_is_left_aside(cache, monkeypatch):
    examples = noises(20)
    for kind, make in (("Images", partial(store.open_images, examples, Words())), ("Looks", partial(look, examples))):
        arguments = ("key", "train")
        with monkeypatch.context() as patch:
            patch.setitem(keys.FORMATS, kind, 0)
            make(*arguments)
        old = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
        make(*arguments)
        new = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
        assert len(new) == 2 * len(old) > 0 and old.items() <= new.items()
        for path in new:
            path.unlink()
            path.with_suffix(".json").unlink()


LOOK = """
import sys, time
sys.path.insert(0, {here!r})
from standin import noises
from rococap.data.doctor import look
from rococap.data.kept import rows as build

quick = look._look

def slow(image):
    time.sleep(0.01)
    return quick(image)

if __name__ == "__main__":
    build.CHUNK = 16
    look._look = slow
    print(len(look.look(noises(120), "key", "train").ids))
"""


def looking_process() -> subprocess.Popen:
    script = LOOK.format(here=str(Path(__file__).parent))
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_an_examination_that_was_killed_goes_on_and_two_share_the_work(cache):
    killed = looking_process()
    end = time.monotonic() + 60
    while len(list(cache.rglob("*.json"))) < 2:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    both = [looking_process() for _ in range(2)]
    assert [process.communicate(timeout=60)[0].split()[-1] for process in both] == ["120", "120"]
    rows = sum(np.load(path, mmap_mode="r").shape[0] for path in cache.rglob("*.npy"))
    assert rows == 120 and not list(cache.rglob("*.tmp"))
