"""Choices that do not go together, and packages that are not there, are said before anything is loaded."""

from pathlib import Path

import pytest
from commands import BLOCK, ROOT, command

from rococap.checks.command_line import check_command_line
from rococap.types import UserError

CONF = ROOT / "conf"
CHOICES = ["data=phantom", "model=tiny"]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedule_free_refuses_a_rate_that_decays(schedule):
    with pytest.raises(UserError, match="scheduler: must be constant"):
        check_command_line(CONF, argv=[*CHOICES, f"scheduler={schedule}", "optimizer=schedule_free"])


def test_schedule_free_brings_its_schedule():
    check_command_line(CONF, argv=[*CHOICES, "optimizer=schedule_free"])
    check_command_line(CONF, argv=["-m", *CHOICES, "optimizer=adamw,schedule_free,adafactor"])


@pytest.mark.parametrize(
    ("optimizer", "extra"), [("lion_8bit", "quantised"), ("schedule_free", "schedulefree")], ids=["bnb", "schedulefree"]
)
def test_a_missing_package_is_named_with_its_extra(optimizer, extra, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(names=["bitsandbytes", "schedulefree"]))
    words = [ROOT / "train.py", *CHOICES, f"optimizer={optimizer}", "name=lacking"]
    done = command(*words, cwd=tmp_path, cache=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and f'pip install -c constraints.txt -e ".[{extra}]"' in done.stderr
    assert not (tmp_path / "multirun").exists()
