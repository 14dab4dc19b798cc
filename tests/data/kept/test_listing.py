"""Caches are listed and cleared; what a run is writing to, and what is not ours, stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from standin import Words, noises

from rococap.data.doctor.look import look
from rococap.data.kept import keys
from rococap.data.kept.folders import writing
from rococap.data.kept.images import open_images
from rococap.data.kept.listing import caches, clear


@pytest.fixture
def filled(cache):
    """Two kinds, one of them in two splits."""
    open_images(noises(9), Words(), "key", "train")
    open_images(noises(3), Words(), "key", "valid")
    look(noises(9), "key", "train")
    return cache


def test_a_cache_is_listed_with_its_size_and_age(filled):
    images, doctor = caches()
    assert (doctor.kind, doctor.name, images.kind) == ("doctor", keys.Looks("key").folder, "images")
    assert images.size == sum(path.stat().st_size for path in filled.glob("images/*/*/*.*"))
    assert images.size > 12 * 3 * 32 * 48
    for path in filled.glob("images/*/*/*.*"):
        os.utime(path, (0, time.time() - 7200))
    assert 7100 < caches()[0].age < 7300 and caches()[1].age < 600


def test_nothing_is_listed_where_there_is_nothing(cache):
    assert caches() == []


def test_clearing_leaves_nothing_but_locks_and_what_is_not_ours(filled):
    note = filled / "images" / "note.txt"
    note.write_text("mine")
    data = filled / "images" / caches()[0].name / "train" / "mine.csv"
    data.write_text("mine")
    other = filled / "papers" / "x" / "y" / "paper.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    store = open_images(noises(9), Words(), "key", "train")
    assert all(clear(each) for each in caches())
    assert caches() == []
    assert {path for path in filled.rglob("*") if path.is_file() and path.name != "lock"} == {note, data, other}
    assert np.array_equal(store["3"], open_images(noises(9), Words(), "key", "train")["3"])  # one open, one built anew


HOLD = """
import sys
from pathlib import Path
from rococap.data.kept import keys
from rococap.data.kept.folders import writing

with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_writes_to_stays(filled):
    images = caches()[0]
    command = [sys.executable, "-c", HOLD, str(images.folder / "train")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert not clear(images)
        assert list((images.folder / "train").glob("*.npy")) and not list((images.folder / "valid").glob("*.npy"))
        process.stdin.close()
    with writing(images.folder / "train"):
        pass
    assert clear(images) and [cache.kind for cache in caches()] == ["doctor"]
