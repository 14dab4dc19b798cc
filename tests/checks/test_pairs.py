"""Choices that do not go together, and packages that are not there, are said before anything is loaded."""

from pathlib import Path

import pytest
from commands import BLOCK, CONF, ROOT, command

from rococap.checks.command_line import check_command_line
from rococap.types import UserError

CHOICES = ["data=phantom", "model=tiny"]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedule_free_refuses_a_rate_that_decays(schedule):
    with pytest.raises(UserError, match="scheduler: must be constant"):
        check_command_line(CONF, argv=[*CHOICES, f"scheduler={schedule}", "optimizer=schedule_free"])


def test_schedule_free_brings_its_schedule(jobs):
    check_command_line(CONF, argv=[*CHOICES, "optimizer=schedule_free"])
    check_command_line(CONF, argv=["-m", *CHOICES, "optimizer=adamw,schedule_free,adafactor"])
    chosen = [(job.optimizer._target_.split(".")[-1], job.scheduler._target_.split(".")[-1]) for job in jobs]
    free = ("AdamWScheduleFree", "constant")
    assert chosen == [free, ("AdamW", "linear"), ("AdamW", "linear"), free, ("Adafactor", "linear")]


def test_a_sweep_is_started_by_one_process(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="-m: one process starts a sweep, and LOCAL_RANK started 2"):
        check_command_line(CONF, argv=["-m", *CHOICES, "seed=0,1"])


@pytest.mark.parametrize("words", [["trainer.devices=2"], ["trainer.devices=1,2"]])
def test_a_job_of_a_sweep_has_one_device(words):
    with pytest.raises(UserError, match=r"trainer\.devices: must be 1 in a sweep"):
        check_command_line(CONF, argv=["-m", *CHOICES, "seed=0,1", *words])
    check_command_line(CONF, argv=[*CHOICES, "trainer.devices=2"])


def test_some_epoch_has_to_be_validated():
    with pytest.raises(UserError, match=r"check_val_every_n_epoch: must be at most trainer\.max_epochs=6"):
        check_command_line(CONF, argv=[*CHOICES, "+trainer.check_val_every_n_epoch=7", "trainer.max_epochs=6"])
    check_command_line(CONF, argv=[*CHOICES, "+trainer.check_val_every_n_epoch=3", "trainer.max_epochs=6"])


@pytest.mark.parametrize(
    ("optimizer", "extra"), [("lion_8bit", "quantised"), ("schedule_free", "schedulefree")], ids=["bnb", "schedulefree"]
)
def test_a_missing_package_is_named_with_its_extra(optimizer, extra, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(names=["bitsandbytes", "schedulefree"]))
    words = [ROOT / "train.py", *CHOICES, f"optimizer={optimizer}", "name=lacking"]
    done = command(*words, cwd=tmp_path, cache=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and f'pip install -c constraints.txt -e ".[{extra}]"' in done.stderr
    assert not (tmp_path / "multirun").exists()
