"""Sweeps whose jobs run in other processes: on this machine, on Ray, by submitit, and on SLURM where there is one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from commands import BLOCK, ROOT, SMALL, command, start
from sweeping import checkout, row, sweep

from rococap.records import RunFolder

MISSING = {"joblib": "joblib", "ray": "ray", "slurm": "submitit"}
BESIDE = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
TRAINING = [ROOT / "train.py", "-m", *SMALL, "metrics=[]", "logger=[csv]", "callbacks=[]", "lora.rank=2,4"]


@pytest.fixture
def place(tmp_path):
    return checkout(tmp_path)


@pytest.mark.parametrize("launcher", MISSING)
def test_a_launcher_that_is_not_installed_is_named_with_its_extra(launcher, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(names=["hydra_plugins", "ray"]))
    words = [*TRAINING, f"hydra/launcher={launcher}", "name=lacking"]
    done = command(*words, cwd=tmp_path, cache=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and f'pip install -c constraints.txt -e ".[{MISSING[launcher]}]"' in done.stderr
    assert not (tmp_path / "multirun").exists()


def test_jobs_beside_each_other_keep_how_they_ended(place):
    done = sweep(place, "-m", "seed=1,2,101,102", "name=grid", *BESIDE)
    assert done.returncode == 1, done.stderr
    assert [row(done, f"seed={seed}")[0] for seed in (1, 2, 101, 102)] == ["finished", "finished", "failed", "failed"]
    assert "seed=101: RuntimeError: a bug" in done.stdout and "seed=102: UserError: the disk is full" in done.stdout
    assert "2 of 4 jobs did not finish" in done.stderr

    (place / "mended").touch()
    again = sweep(place, "-m", "seed=1,2,101,102", "name=grid", *BESIDE)
    assert again.returncode == 0 and "4 jobs, 2 of them finished before" in again.stdout, again.stderr


def test_a_job_whose_process_dies_is_told_from_those_that_ended(place):
    done = sweep(place, "-m", "seed=1,104", "name=grid", *BESIDE)
    assert done.returncode == 1
    assert row(done, "seed=104")[0] == "killed" and "did not finish" in done.stderr
