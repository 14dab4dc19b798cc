"""Copies of drawn pictures, and of real radiographs, are found, and no two patients are taken for one."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from commands import MINI
from dirty import reencoded
from drawn import images
from PIL import Image
from PIL.Image import Resampling

from rococap.data.doctor.copies import LEAST_AGREEMENT, MOST_BITS, Pair, _agreements, find_pairs, groups, hashes
from rococap.data.doctor.look import SIDE
from rococap.types import SPLITS


def thumbnail(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Resampling.BOX).convert("L"))


@pytest.fixture(scope="module", params=["drawn", "real"])
def files(request) -> list[bytes]:
    """All that are drawn; of the real ones every second, and the neighbours of the closest pair."""
    if request.param == "drawn":
        return [content for split in SPLITS for content in images(split).values()]
    if not MINI.is_dir():
        pytest.skip("the shared data is not here")
    contents = []
    for split in SPLITS:
        with zipfile.ZipFile(MINI / f"{split}_images.zip") as archive:
            names = [name for name in sorted(archive.namelist()) if name.endswith(".jpg")]
            contents += [archive.read(n) for i, n in enumerate(names) if i % 2 == 0 or "covidcxr_008" in n]
    return contents


@pytest.fixture(scope="module")
def thumbnails(files) -> np.ndarray:
    return np.stack([thumbnail(Image.open(io.BytesIO(content))) for content in files])


def test_different_images_are_no_copies_even_of_one_patient(thumbnails):
    assert find_pairs(np.arange(len(thumbnails), dtype=np.uint64), thumbnails) == []
    close = np.bitwise_count(hashes(thumbnails)[:, None] ^ hashes(thumbnails)[None]) <= MOST_BITS
    assert close.sum() > len(thumbnails)  # by the hash alone some would be


@pytest.mark.parametrize(
    "change",
    [
        {"quality": 30},
        {"quality": 75, "size": 0.5},
        {"quality": 75, "size": 1.3},
        {"quality": 90, "brightness": 1.1},
        {"quality": 90, "brightness": 0.85},
        {"quality": 70, "size": 0.6, "brightness": 1.07},
    ],
)
def test_every_copy_is_found(change, files, thumbnails):
    copies = np.stack([thumbnail(Image.open(io.BytesIO(reencoded(content, **change)))) for content in files])
    both = np.concatenate([thumbnails, copies])
    pairs = find_pairs(np.arange(len(both), dtype=np.uint64), both)
    assert [(pair.first, pair.second) for pair in pairs] == [(n, n + len(files)) for n in range(len(files))]
    assert all(LEAST_AGREEMENT <= pair.agreement <= 1 for pair in pairs)


def test_equal_pixels_are_linked_to_their_first_and_empty_images_to_no_other():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, SIDE, SIDE), dtype=np.uint8)
    images[4:] = 9
    digests = np.array([5, 7, 5, 5, 1, 2], dtype=np.uint64)
    images[2] = images[3] = images[0]
    assert find_pairs(digests, images) == [Pair(0, 2, 1.0), Pair(0, 3, 1.0)]
    assert _agreements(images[4:5], images[5:6]).tolist() == [0.0]


def test_no_image_has_no_copies():
    assert find_pairs(np.empty(0, np.uint64), np.empty((0, SIDE, SIDE), np.uint8)) == []


def test_groups_join_what_hangs_together():
    pairs = [Pair(4, 9, 0.95), Pair(1, 2, 1.0), Pair(2, 9, 0.99), Pair(5, 6, 1.0)]
    assert groups(pairs) == [([1, 2, 4, 9], 0.95), ([5, 6], 1.0)]


def test_candidates_are_verified_in_batches_of_any_size(monkeypatch):
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(0, 256, (8, 8)), np.ones((8, 8)))  # one hash for all
    images = np.clip(coarse + rng.normal(0, 60, (12, SIDE, SIDE)), 0, 255).astype(np.uint8)
    images[11], images[9] = images[3] // 8 * 8, images[10] // 8 * 8
    digests = np.arange(12, dtype=np.uint64)
    at_once = find_pairs(digests, images)
    assert [(pair.first, pair.second) for pair in at_once] == [(3, 11), (9, 10)]
    monkeypatch.setattr("rococap.data.doctor.copies._SOME", 7)
    assert find_pairs(digests, images) == at_once
