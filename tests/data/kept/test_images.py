"""Decoded once, right, and safe from whatever stops or disturbs a build."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from drawn import zenodo
from PIL import Image
from standin import Words

from rococap.data.image import FileImage, read
from rococap.data.kept import images as stores
from rococap.data.kept import rows as builds
from rococap.data.kept.images import open_images
from rococap.data.rocov2 import RocoV2
from rococap.types import Example, UserError


def pictures(folder: Path, count: int, side: int = 40) -> list[Example]:
    folder.mkdir(exist_ok=True)
    examples = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.new("L", (side, side), number % 256).save(path)
        examples.append(Example(str(number), FileImage(path), ("text",)))
    return examples


def assert_right(store, examples) -> None:
    assert [example.id for example in store.examples] == [example.id for example in examples]
    for example in examples:
        assert np.array_equal(store[example.id], Words().pixels(read(example.image)))


def test_the_images_of_zips_are_those_decoded_alone():
    examples = RocoV2(str(zenodo())).examples("valid")
    assert_right(open_images(examples, Words(), "key", "valid"), examples)


def test_only_what_is_asked_for_is_added(cache, tmp_path, monkeypatch):
    examples = pictures(tmp_path / "x", 60)
    open_images(examples[:20], Words(), "key", "train")
    built = []
    monkeypatch.setattr(stores, "read", lambda image: built.append(image) or read(image))
    open_images(examples[:20], Words(), "key", "train")
    assert built == []
    assert_right(open_images(examples[10:40], Words(), "key", "train"), examples[10:40])
    assert len(built) == 20


def test_many_images_are_built_in_parallel(tmp_path, monkeypatch):
    monkeypatch.setattr(builds, "CHUNK", 64)
    examples = pictures(tmp_path / "x", 300)
    examples[7].image.path.write_bytes(b"")
    store = open_images(examples, Words(), "key", "train")
    assert_right(store, [example for example in examples if example.id != "7"])
    assert list(store.unreadable) == ["7"]


def test_data_split_size_and_method_are_kept_apart(tmp_path):
    dark, bright = pictures(tmp_path / "x", 2), pictures(tmp_path / "y", 2)
    bright[0].image.path.write_bytes(bright[1].image.path.read_bytes())
    stored = {
        open_images(examples, processor, key, split)["0"].tobytes()
        for examples, processor, key, split in (
            (dark, Words(), "key", "train"),
            (bright, Words(), "other", "train"),
            (dark, Words(image_size=(8, 8)), "key", "train"),
        )
    }
    assert len(stored) == 3
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    example = Example("n", FileImage(tmp_path / "noise.png"), ())
    nearest = Words(resample=Image.Resampling.NEAREST)
    assert not np.array_equal(
        open_images([example], Words(), "key", "test")["n"], open_images([example], nearest, "key", "test")["n"]
    )


def test_unreadable_images_are_named_and_left_out(tmp_path, caplog):
    examples = pictures(tmp_path / "x", 5)
    examples[1].image.path.write_bytes(b"")
    examples[3].image.path.write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        store = open_images(examples, Words(), "key", "valid")
    assert_right(store, [examples[0], examples[2], examples[4]])
    assert str(examples[1].image) in caplog.text and "0 bytes" in caplog.text
    assert str(examples[3].image) in caplog.text
    with pytest.raises(KeyError):
        store["1"]
    Image.new("L", (4, 4), 9).save(examples[1].image.path)  # once mended, it is back
    assert "1" in [example.id for example in open_images(examples, Words(), "key", "valid").examples]


def test_changed_bytes_are_noticed_and_decoded_anew(cache, tmp_path, caplog):
    examples = pictures(tmp_path / "x", 5)
    open_images(examples, Words(), "key", "train")
    [chunk] = cache.rglob("*.npy")
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 255
    chunk.write_bytes(content)
    stores_again = open_images(examples, Words(), "key", "train")
    assert_right(stores_again, examples)
    assert "4 in" in caplog.text and "changed on disk" in caplog.text


@pytest.mark.parametrize("damage", ["shorten", "remove", "index"])
def test_damaged_chunks_are_built_anew(damage, cache, tmp_path):
    examples = pictures(tmp_path / "x", 5)
    open_images(examples, Words(), "key", "train")
    [chunk] = cache.rglob("*.npy")
    renamed = chunk.with_name("renamed.npy")  # this process has the other name open
    if damage != "remove":
        renamed.write_bytes(chunk.read_bytes()[: -1000 if damage == "shorten" else None])
    index = chunk.with_suffix(".json").read_bytes()
    renamed.with_suffix(".json").write_bytes(index[:-3] if damage == "index" else index)
    chunk.unlink()
    chunk.with_suffix(".json").unlink()
    assert_right(open_images(examples, Words(), "key", "train"), examples)
    assert not renamed.exists()


def test_a_full_disk_is_told_before_and_during_a_build(cache, tmp_path, monkeypatch):
    examples = pictures(tmp_path / "x", 3)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
        with pytest.raises(UserError, match="are free"):
            open_images(examples, Words(), "key", "train")

    def full(file, array):
        file.write(b"some")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(UserError, match="No space left"):
            open_images(examples, Words(), "key", "train")
    assert not list(cache.rglob("*.tmp"))
    assert_right(open_images(examples, Words(), "key", "train"), examples)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "locked/cache"))
    with pytest.raises(UserError, match="ROCOCAP_CACHE"):
        open_images(pictures(tmp_path / "x", 1), Words(), "key", "train")


def test_a_cache_in_the_place_of_a_file(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="ROCOCAP_CACHE"):
        open_images(pictures(tmp_path / "x", 1), Words(), "key", "train")


def test_a_store_travels_without_its_pixels(tmp_path):
    examples = pictures(tmp_path / "x", 50)
    store = open_images(examples, Words(), "key", "train")
    packed = pickle.dumps(store)
    assert len(packed) < 50 * 3 * 32 * 48 / 4
    assert_right(pickle.loads(packed), examples)


BUILD = """
import sys, time
sys.path[:0] = [{here!r}]
from pathlib import Path
from standin import Words
from rococap.data.kept import images as store
from rococap.data.kept import rows as build
from rococap.data.image import FileImage
from rococap.types import Example

class Slow(Words):
    def pixels(self, image):
        time.sleep({delay})
        return super().pixels(image)

if __name__ == "__main__":
    build.CHUNK = 16
    folder = Path({folder!r})
    examples = [Example(str(n), FileImage(folder / f"{{n}}.png"), ()) for n in range({count})]
    print(len(store.open_images(examples, Slow(), "key", "train").examples))
"""


def build(folder: Path, count: int, delay: float) -> subprocess.Popen:
    script = BUILD.format(here=str(Path(__file__).parents[1]), folder=str(folder), count=count, delay=delay)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("whole_group", [True, False])
def test_a_killed_build_leaves_nothing_half_right_and_is_resumed(whole_group, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(builds, "CHUNK", 16)
    examples = pictures(tmp_path / "x", 200)
    process = build(tmp_path / "x", 200, delay=0.02)
    wait_for(lambda: len(list(cache.rglob("*.json"))) >= 2)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list(cache.rglob("*.json")))
    assert done < 200 // 16
    built = []
    monkeypatch.setattr(builds, "cores", lambda: 0)
    monkeypatch.setattr(stores, "read", lambda image: built.append(image) or read(image))
    assert_right(open_images(examples, Words(), "key", "train"), examples)
    assert len(built) <= 200 - 16 * done
    assert not list(cache.rglob("*.tmp"))
    assert {path.stem for path in cache.rglob("*.npy")} == {path.stem for path in cache.rglob("*.json")}


def test_two_builds_at_once_share_the_work(cache, tmp_path):
    pictures(tmp_path / "x", 100)
    processes = [build(tmp_path / "x", 100, delay=0.005) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["100", "100"]
    rows = sum(np.load(path, mmap_mode="r").shape[0] for path in cache.rglob("*.npy"))
    assert rows == 100
