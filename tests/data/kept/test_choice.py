"""Features are kept where that pays, and the choice stays."""

import time

import numpy as np
import pytest
import torch
from standin import Words, noises

from rococap.data.datamodule import CaptionData
from rococap.data.kept import choice
from rococap.data.kept.features import Encoder


def encoder(seconds, passes=3, shape=(1, 3)):
    def encode(pixels):
        time.sleep(seconds * len(pixels))
        return pixels.float().mean(dim=(2, 3))[:, None]

    return Encoder("weights", {}, "fp32", shape, np.float16, encode, passes)


@pytest.fixture
def disk(monkeypatch):
    """A disk that moves a megabyte in a second."""
    monkeypatch.setattr(choice, "_seconds_per_byte", lambda folder: 1e-6)


@pytest.mark.parametrize(
    ("of", "keep"),
    [
        (encoder(0.02), True),  # 6 bytes are moved in no time
        (encoder(0.001, shape=(1000, 500)), False),  # 1 MB for each image
        (encoder(0.02, passes=1), False),  # seen once: nothing is saved
    ],
)
def test_time_decides_and_says_why(tmp_path, disk, of, keep):
    chosen, why = choice.pays(of, 500, (8, 8), tmp_path)
    assert chosen == keep and "encoding 500 images takes" in why and "GB to or from the disk" in why


def test_the_same_command_chooses_the_same_again(tmp_path, disk):
    first = choice.pays(encoder(0.02), 5, (8, 8), tmp_path)
    assert choice.pays(encoder(0.0, passes=1), 5, (8, 8), tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == [choice.FILE]


def test_what_the_disk_has_no_room_for_is_not_kept(tmp_path):
    chosen, why = choice.pays(encoder(1e9, shape=(1 << 20, 1 << 10)), 10**7, (8, 8), tmp_path)
    assert not chosen and "are free on the disk" in why


@pytest.mark.parametrize("passes", [1, 5, None])
def test_batches_hold_what_was_chosen(disk, passes, caplog):
    class Source:
        def examples(self, split):
            return noises(4)

        def fingerprint(self):
            return "noises"

    caplog.set_level("INFO")
    settings = {"fraction": 1.0, "subset_seed": 0, "length_pool": 1, "workers": 0, "val_images": None, "max_tokens": 9}
    data = CaptionData(Source(), Words(), batch_size=4, seed=0, encoder=encoder(0.01, passes), **settings)
    batches = [next(iter(data.loader(split, 4))) for split in ("train", "test")]
    assert all((batch.features is not None) == (passes != 1) for batch in batches)
    assert all((batch.pixel_values is None) == (passes != 1) for batch in batches)
    said = {1: "features are computed anew in each epoch: encoding 4 images", 5: "features are kept: encoding 4 images"}
    assert passes is None or caplog.text.count(said[passes]) == 1
    assert torch.is_tensor(batches[0].input_ids)
