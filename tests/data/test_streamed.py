"""Training images that are decoded in each epoch: the same pixels, and nothing of them kept."""

import logging

import numpy as np
import pytest
import torch
from commands import DATA
from shard_server import served
from standin import Words

from rococap.data import streamed
from rococap.data.datamodule import CaptionData
from rococap.data.kept.features import Encoder
from rococap.data.phantom.source import Phantom
from rococap.data.sampler import LengthSampler
from rococap.data.shard_sampler import ShardSampler
from rococap.data.shards import fetched
from rococap.data.shards.writing import write_shards
from rococap.data.webdataset import WebDataset
from rococap.types import SPLITS, UserError

TRAIN = 30
DRAWN = Phantom(TRAIN, 4, 4, seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_shards({split: DRAWN.examples(split) for split in SPLITS}, folder / "shards", 100_000)
    return folder


def module(source, **settings):
    return CaptionData(source, Words(), batch_size=4, **{**DATA, **settings})


def shards(place):
    return WebDataset(str(place), None, 0.1, 0.1, 0)


def epoch(data, number=0):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def kept(cache):
    return sorted(file.parent.name for file in cache.glob("images/*/*/*.npy"))


@pytest.mark.parametrize("workers", [0, 1])
def test_streamed_from_here_batches_are_those_of_kept_images(workers, folder, cache):
    stored = epoch(module(shards(folder / "shards")), 1)
    for file in cache.rglob("*.npy"):
        file.unlink()
    data = module(shards(folder / "shards"), stream=True, workers=workers)
    assert type(data.train_dataloader().sampler) is LengthSampler
    for batch, expected in zip(epoch(data, 1), stored, strict=True):
        assert batch.ids == expected.ids and torch.equal(batch.pixel_values, expected.pixel_values)
        assert torch.equal(batch.input_ids, expected.input_ids)
    data.examples("valid")
    assert kept(cache) == ["valid"]


@pytest.mark.parametrize("workers", [0, 1])
def test_streamed_from_a_url_every_image_once_from_shards_that_are_fetched_once(workers, folder, cache, caplog):
    pytest.importorskip("webdataset")
    caplog.set_level(logging.INFO)
    by_id = {example.id: example for example in DRAWN.examples("train")}
    with served(folder) as server:
        data = module(shards(f"{server.url}/shards"), stream=True, window=2, workers=workers)
        batches = epoch(data)
        assert type(data.train_dataloader().sampler) is ShardSampler
        assert sorted(name for batch in batches for name in batch.ids) == sorted(by_id)
        for batch in batches[:2]:
            for name, pixels in zip(batch.ids, batch.pixel_values, strict=True):
                assert np.array_equal(pixels, Words().pixels(by_id[name].image.open().convert("RGB")))
        names = sorted(file.name for file in (folder / "shards").glob("train-*.tar"))
        assert sorted(server.asked[1:]) == names and len(names) > 6
        assert [b.ids for b in epoch(data)] == [b.ids for b in batches] != [b.ids for b in epoch(data, 1)]
    assert kept(cache) == []
    assert f"{len(names)} shards, and shuffled within 2 of them" in caplog.text


def test_a_run_that_goes_on_fetches_no_shard_that_is_done(folder, cache):
    pytest.importorskip("webdataset")
    with served(folder) as server:
        whole = [b.ids for b in epoch(module(shards(f"{server.url}/shards"), stream=True, window=1))]
        for file in cache.glob("shards/fetched/all/*.tar"):
            file.unlink()
        server.asked.clear()
        data = module(shards(f"{server.url}/shards"), stream=True, window=1)
        data.go_on(0, 6)
        assert [batch.ids for batch in data.train_dataloader()] == whole[6:]
        assert len([name for name in server.asked if name.startswith("train")]) <= 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_server_that_is_gone_is_told_in_two_lines(workers, folder, monkeypatch):
    pytest.importorskip("webdataset")
    monkeypatch.setattr(fetched, "PAUSES", (0.01,))
    with served(folder) as server:
        data = module(shards(f"{server.url}/shards"), stream=True, workers=workers)
        data.examples("train")
    loader = data.train_dataloader()
    with pytest.raises(UserError, match=r"train-\d+\.tar cannot be read .*refuses the connection.*tried 2") as error:
        list(loader)
    if workers:
        loader._iterator._shutdown_workers()  # collected with the error some time later, it would wait for them
    assert len(str(error.value).splitlines()) == 2 and "goes on" in str(error.value)


def test_images_that_cannot_be_read_are_left_out_of_their_batches(folder, tmp_path, caplog):
    place = tmp_path / "shards"
    write_shards({split: DRAWN.examples(split)[:9] for split in SPLITS}, place, 1 << 20)
    source = shards(place)
    images = [example.image for example in source.examples("train")]
    content = bytearray((place / "train-000000.tar").read_bytes())
    for image in images[:5]:
        content[image.offset + 40] ^= 255
    (place / "train-000000.tar").write_bytes(bytes(content))
    data = module(source, stream=True, allow_missing=True)
    seen = [name for _ in range(2) for batch in epoch(data) for name in batch.ids]
    assert sorted(seen) == sorted(2 * [example.id for example in source.examples("train")[5:]])
    assert caplog.text.count("image left out of its batches") == 5
    alone = data.dataset("train")[[0]]
    assert alone.ids == [] and alone.pixel_values.shape == (1, 3, 32, 48) and not alone.pixel_values.any()


def test_auto_streams_where_the_disk_is_too_small_and_remembers_that(folder, cache, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    assert type(module(DRAWN, stream="auto").dataset("train").images).__name__ == "Store"
    for file in cache.rglob("*.*"):
        file.unlink()
    usage = streamed.shutil.disk_usage(cache)
    monkeypatch.setattr(streamed.shutil, "disk_usage", lambda place: usage._replace(free=2 * 30 * 3 * 32 * 48 - 1))
    assert type(module(DRAWN, stream="auto").dataset("train").images).__name__ == "Streamed"
    assert "GB decoded, and" in caplog.text
    monkeypatch.undo()
    monkeypatch.setenv("ROCOCAP_CACHE", str(cache))
    assert type(module(DRAWN, stream="auto").dataset("train").images).__name__ == "Streamed"


def test_features_of_what_is_streamed_are_not_kept(folder, cache, caplog):
    caplog.set_level(logging.INFO)
    encoder = Encoder("w", {}, "fp32", (2, 3), np.float32, lambda pixels: torch.zeros(len(pixels), 2, 3))
    data = module(shards(folder / "shards"), stream=True, encoder=encoder)
    assert epoch(data)[0].features is None and data.dataset("valid").images.kind == "features"
    assert "decoded and encoded anew in each epoch" in caplog.text


def test_within_an_epoch_the_number_of_machines_stays():
    data = module(DRAWN)
    data.load_state_dict({"machines": 2})
    data.go_on(1, 0)
    with pytest.raises(UserError, match="begun on 2 machines"):
        data.go_on(1, 3)
    data.load_state_dict({"machines": 1})
    data.go_on(1, 3)
    assert data._from == (1, 3) and data.state_dict() == {}
