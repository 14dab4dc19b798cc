"""What a run will need on the disk is known, and refused where there is no room, before it trains."""

import os
import shutil
from collections import namedtuple

import pytest
import torch
from commands import CONF, LORA, ROOT, SMALL
from omegaconf import OmegaConf

from rococap.config import build
from rococap.data.kept.folders import NoSpace
from rococap.models.export import export
from rococap.models.lora import add_lora, train_in_full, train_nothing
from rococap.models.tiny import tiny
from rococap.runs.folder import RunFolder
from rococap.training.optim import parameter_groups, set_mode
from rococap.training.space import checkpoint_bytes, export_bytes, require_room

Usage = namedtuple("Usage", "total used free")
GB = 10**9


@pytest.fixture(scope="module")
def captioner():
    """One that trains in full."""
    captioner = tiny()
    train_in_full(captioner, train_vision_tower=True)
    return captioner


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit", "lion_8bit", "adafactor", "schedule_free"])
def test_a_checkpoint_is_as_large_as_was_reckoned(name, captioner, tmp_path):
    config = OmegaConf.load(CONF / "optimizer" / f"{name}.yaml")
    config.pop("defaults", None)
    build_optimizer = build(config)
    before = torch.get_rng_state()
    reckoned = checkpoint_bytes(captioner, build_optimizer, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    optimizer = build_optimizer(parameter_groups(captioner))
    for parameter in captioner.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    set_mode([optimizer], training=True)
    optimizer.step()
    torch.save({"state": captioner.trainable_state(), "optimizer": optimizer.state_dict()}, tmp_path / "x.ckpt")
    assert (tmp_path / "x.ckpt").stat().st_size == pytest.approx(reckoned, rel=0.08)


@pytest.mark.parametrize("adapted", [True, False])
def test_what_is_exported_is_as_large_as_was_reckoned(adapted, captioner, tmp_path):
    if adapted:
        captioner = tiny()
        add_lora(captioner, **(LORA | {"rank": 64}))
    written = export(captioner, tmp_path)
    size = sum(file.stat().st_size for file in written.glob("*.safetensors"))
    assert size == pytest.approx(export_bytes(captioner), rel=0.05)


def test_a_run_that_trains_nothing_needs_no_room():
    captioner = tiny()
    train_nothing(captioner)
    sizes = checkpoint_bytes(captioner, build(OmegaConf.load(CONF / "optimizer" / "adamw.yaml")), "cpu")
    assert sizes == 0 == export_bytes(captioner)


@pytest.fixture
def free(monkeypatch):
    """Sets how much is free on the disk."""
    return lambda size: monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, size))


@pytest.mark.parametrize(
    ("kept", "epochs", "files"),
    [(None, 6, 8), (0, 6, 4), (0, 1, 3), (3, 6, 7), (9, 6, 8)],
)
def test_there_is_room_for_all_files_that_are_there_at_once(kept, epochs, files, free, tmp_path):
    needed = (files * 3 * GB + GB) * 1.05
    free(int(needed) + 1)
    assert require_room(RunFolder(tmp_path), 3 * GB, GB, kept, epochs) is None
    free(int(needed) - 1)
    with pytest.raises(NoSpace, match=f"for {files} checkpoints of 3.0 GB") as refusal:
        require_room(RunFolder(tmp_path), 3 * GB, GB, kept, epochs)
    assert len(str(refusal.value).splitlines()) == 2
    assert ("checkpoint.keep=best+last needs" in str(refusal.value)) == (files > 4)


def test_what_is_there_already_is_not_asked_for_again(free, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with (tmp_path / "checkpoints" / "epoch=00.ckpt").open("wb") as file:
        os.truncate(file.fileno(), GB)  # no bytes are written
    free(int(3 * GB * 1.05) + 1)
    assert require_room(RunFolder(tmp_path), GB, GB, 0, 1) is None
    with pytest.raises(NoSpace, match=r"needs 4\.2 GB more, for 4 checkpoints .*, but 3\.2 GB are free on its disk"):
        require_room(RunFolder(tmp_path), GB, GB, 0, 2)


def test_a_run_is_refused_before_it_trains(place, run):
    words = [*SMALL, "trainer.max_epochs=100000000", "lora=none", "metrics=[]", "logger=[csv]", "checkpoint.keep=all"]
    done = run(ROOT / "train.py", *words, "name=large")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 2, done.stderr
    assert "100000002 checkpoints of 23 MB" in done.stderr and "checkpoint.keep=best+last needs" in done.stderr
    assert not list((place / "multirun" / "large").rglob("*.ckpt"))
