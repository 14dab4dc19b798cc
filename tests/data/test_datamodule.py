"""Real images through real loaders, and through Lightning itself."""

from __future__ import annotations

import itertools
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from dirty import Copy
from drawn import zenodo
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from standin import Words

from rococap.data.complete import noteworthy
from rococap.data.datamodule import CaptionData
from rococap.data.dataset import pad
from rococap.data.image import BytesImage, FileImage, read
from rococap.data.kept.features import Encoder
from rococap.data.rocov2 import RocoV2
from rococap.data.subset import fixed_sample, subset
from rococap.types import SPLITS, Example, UserError


class Drawn:
    """A source of small plain images: 50 to train, 9 to validate, 3 without captions to test."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.splits = {split: [] for split in SPLITS}
        for split, count in zip(SPLITS, (50, 9, 3), strict=True):
            for number in range(count):
                path = folder / f"{split}{number}.png"
                Image.new("L", (9, 9), number).save(path)
                captions = () if split == "test" else ("word " * (number % 11 + 1),)
                self.splits[split].append(Example(f"{split}{number}", FileImage(path), captions))

    def examples(self, split):
        return self.splits[split]

    def fingerprint(self) -> str:
        return "drawn"


SETTINGS = {
    "fraction": 1.0,
    "subset_seed": 0,
    "batch_size": 8,
    "length_pool": 32,
    "workers": 0,
    "val_images": 500,
    "max_tokens": 128,
    "seed": 0,
}


def lacking(folder: Path, absent: int, damaged: int) -> RocoV2:
    """A copy of 40 images of each split; of train so many have no image, and so many none that can be read."""
    copy = Copy(40)
    for number, name in enumerate(copy.ids("train")[: absent + damaged]):
        if number < absent:
            del copy.images["train"][name]
        else:
            copy.images["train"][name] = b"<html>"
    return RocoV2(str(copy.write(folder)))


@pytest.mark.parametrize(("absent", "damaged"), [(4, 0), (0, 4), (1, 3)])
def test_a_tenth_may_be_missing_and_is_said(absent, damaged, tmp_path):
    module = data(lacking(tmp_path / "data", absent, damaged))
    assert len(module.examples("train")) == 36 and len(module.examples("valid")) == len(
        RocoV2(str(tmp_path / "data")).examples("valid")
    )
    said = noteworthy(module.missing)
    assert list(said) == ["train"] and len(said["train"]) == (absent > 0) + (damaged > 0)
    assert said["train"][0] == (
        f"train: {absent} of 40 ids have no image ({absent / 40:.1%})"
        if absent
        else "train: 4 of 40 images cannot be read (10.0%)"
    )


@pytest.mark.parametrize(("absent", "damaged"), [(5, 0), (0, 5)])
def test_more_is_refused_unless_it_is_allowed(absent, damaged, tmp_path):
    source = lacking(tmp_path / "data", absent, damaged)
    with pytest.raises(
        UserError, match=r"train: 5 of 40 .* \(12\.5%\): this copy is not whole.\n.*data\.allow_missing=true"
    ):
        data(source).examples("train")
    assert len(data(source, allow_missing=True).examples("train")) == 35


def data(source, **changes) -> CaptionData:
    return CaptionData(source, Words(), **(SETTINGS | changes))


def test_batches_hold_what_the_dataset_says(caplog):
    source = RocoV2(str(zenodo()))
    with caplog.at_level(logging.INFO):
        module = data(source, max_tokens=60)
        batches = list(module.train_dataloader())
    by_id = {example.id: example for example in source.examples("train")}
    assert sorted(name for batch in batches for name in batch.ids) == sorted(by_id)
    for batch in batches:
        assert batch.pixel_values.dtype == torch.uint8
        assert batch.input_ids.shape[1] == batch.attention_mask.sum(1).max()
        for name, ids, mask, pixels in zip(
            batch.ids, batch.input_ids, batch.attention_mask, batch.pixel_values, strict=True
        ):
            example = by_id[name]
            assert ids[mask.bool()].tolist() == Words().tokens(example.captions[0], 60)[0]
            assert np.array_equal(pixels.numpy(), Words().pixels(read(example.image)))
    cut = sum(len(example.captions[0].split()) >= 60 for example in by_id.values())
    assert cut > 0
    assert f"train: {cut} of 44 captions were longer than 60 tokens and were cut" in caplog.messages


def test_splits_are_taken_and_ordered_as_asked(tmp_path):
    source = Drawn(tmp_path / "x")
    module = data(source, fraction=0.5, val_images=4, subset_seed=7)
    assert module.examples("train") == subset(source.examples("train"), 0.5, 7)
    assert module.examples("valid") == fixed_sample(source.examples("valid"), 4, 7)
    assert module.examples("test") == source.examples("test")
    for split in ("valid", "test"):
        loaded = [name for batch in module.loader(split, 2) for name in batch.ids]
        assert loaded == [example.id for example in module.examples(split)]
    assert data(source, val_images=None).examples("valid") == source.examples("valid")


def test_a_split_is_prepared_when_it_is_needed(tmp_path):
    source = Drawn(tmp_path / "x")
    source.splits["test"][0] = Example("unreadable", BytesImage(b"", "an empty file"), ())
    module = data(source, allow_missing=True)
    list(module.train_dataloader()), list(module.val_dataloader())
    assert [example.id for example in module.examples("test")] == ["test1", "test2"]


def test_a_split_without_captions_has_no_real_token(tmp_path):
    [batch] = data(Drawn(tmp_path / "x")).loader("test", 8)
    assert batch.input_ids.shape == (3, 1)
    assert batch.attention_mask.sum() == 0


def test_padding_is_told_by_the_mask_not_by_the_id():
    ids, mask = pad([[5, 0], [1, 2, 3, 0], []], pad_token_id=0)
    assert ids.tolist() == [[5, 0, 0, 0], [1, 2, 3, 0], [0, 0, 0, 0]]
    assert mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_give_the_same_batches(method, tmp_path):
    module = data(Drawn(tmp_path / "x"))
    alone = [(list(batch.ids), batch.input_ids, batch.pixel_values) for batch in module.train_dataloader()]
    module.workers = 1 if method == "spawn" else 2
    loader = module.train_dataloader()
    loader.multiprocessing_context = method
    for (ids, tokens, pixels), batch in zip(alone, loader, strict=True):
        assert ids == list(batch.ids)
        assert torch.equal(tokens, batch.input_ids) and torch.equal(pixels, batch.pixel_values)


class Recorder(LightningModule):
    """Notes which examples it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen: dict[int, list[list[str]]] = {}

    def training_step(self, batch, _):
        assert batch.pixel_values.device == self.device
        self.seen.setdefault(self.current_epoch, []).append(list(batch.ids))
        return self.weight * batch.input_ids.float().mean()

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_shuffles_each_epoch_anew_and_reproducibly(tmp_path):
    def fit() -> dict[int, list[list[str]]]:
        recorder = Recorder()
        trainer = Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        trainer.fit(recorder, datamodule=data(Drawn(tmp_path / "x")))
        return recorder.seen

    seen = fit()
    assert [sorted(itertools.chain(*epoch)) for epoch in seen.values()] == [sorted(f"train{n}" for n in range(50))] * 2
    assert seen[0] != seen[1]
    assert fit() == seen


def test_two_processes_share_an_epoch(tmp_path):
    module = data(Drawn(tmp_path / "x"))
    shares = []
    for rank in range(2):
        module.trainer = type("Rank", (), {"global_rank": rank, "world_size": 2})()
        shares.append([name for batch in module.train_dataloader() for name in batch.ids])
    assert sorted(shares[0] + shares[1]) == sorted(f"train{n}" for n in range(50))
    assert abs(len(shares[0]) - len(shares[1])) <= 1


def test_no_readable_image_at_all_is_an_error(tmp_path):
    source = Drawn(tmp_path / "images")
    for example in source.examples("test"):
        example.image.path.write_bytes(b"")
    with pytest.raises(UserError, match="None of the 3 images of test can be read; the first: "):
        data(source).dataset("test")


def test_features_take_the_place_of_pixels_unless_the_disk_is_too_small(tmp_path, monkeypatch, caplog):
    mean = Encoder("mean", {}, "fp32", (1, 3), np.float16, lambda pixels: pixels.float().mean(dim=(2, 3))[:, None])
    module = CaptionData(Drawn(tmp_path / "images"), Words(), **SETTINGS, encoder=mean)
    batch = next(iter(module.loader("test", 3)))
    assert batch.pixel_values is None and batch.features.tolist() == [[[i] * 3] for i in range(3)]
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50))  # 9 images are 54 bytes
    with caplog.at_level(logging.WARNING):
        monkeypatch.setattr("rococap.data.kept.images.require_space", lambda *a: None)
        batch = next(iter(module.loader("valid", 9)))
    assert batch.features is None and batch.pixel_values.shape == (9, 3, 32, 48)
    assert "features are computed anew in each epoch: Keeping the features of 9 images of valid takes" in caplog.text
