"""A run that is killed at random moments of its whole life, again and again, ends as the undisturbed one.

The long form is `pytest -m slow tests/training/test_kills.py`; ROCOCAP_KILLS=500 sets how many kills it takes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import torch
from commands import ROOT, SMALL, start

from rococap.runs.folder import RunFolder

WORDS = [ROOT / "train.py", *SMALL, "data.source.train=32", "data.batch_size=8", "decoding.max_new_tokens=6"]
WORDS += ["metrics=[bleu,cider]", "logger=[csv]", "checkpoint.every=0.1s"]
TIMES = {"wall_seconds", "seconds", "peak_memory", "digest", "digests"}


def begin(folder, name, *, alone):
    """Start the run: from nothing with a process group of its own, or by a server."""
    if not alone:
        return start(*WORDS, f"name={name}", cwd=folder, cache=folder / f"{name}-cache")
    environment = {**os.environ, "ROCOCAP_CACHE": str(folder / f"{name}-cache"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *map(str, WORDS), f"name={name}"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=folder, env=environment, start_new_session=True, **pipes)


def kill(process, *, alone):
    """As a machine that fails."""
    if alone:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def stage(run):
    """How far a run had got: what stood in its folder."""
    if not (run.path / "environment.json").is_file():
        return "beginning"
    if (run.path / "report.html").is_file():
        return "report"
    if (run.path / "predictions" / "test.jsonl").is_file():
        return "scoring"
    if (run.path / "adapter").is_dir():
        return "captioning"
    return "training" if run.last.is_file() else "preparing"


def left(run):
    """All that a run leaves behind which must not hang on when it was killed."""
    names = ("predictions/test.jsonl", "evaluation_results.csv", "scores/test_per_sample.csv")
    rows = [{key: value for key, value in row.items() if key != "wall_seconds"} for row in run.metrics()]
    state = {key: value for key, value in run.state.items() if key not in TIMES}
    return {**{name: (run.path / name).read_bytes() for name in names}, "metrics": rows, "run.json": state}


def survive(folder, kills, seed, *, share):
    """Kill a run so many times, give the command once more, and hold what is left against an undisturbed run.

    Args:
        share: of the processes, which is started from nothing: their lives are imports for the most part.
    """
    draw, moments = random.Random(seed), Counter()
    began = time.monotonic()
    whole = begin(folder, "whole", alone=False)
    _, errors = whole.communicate(timeout=400)
    assert whole.returncode == 0, errors
    life, run = time.monotonic() - began, RunFolder(folder / "multirun" / "killed")
    turn = 0
    while sum(moments.values()) < kills:
        alone = draw.random() < share
        process = begin(folder, "killed", alone=alone)
        try:
            process.wait(draw.uniform(0, life))
        except subprocess.TimeoutExpired:
            kill(process, alone=alone)
            moments[stage(run)] += 1
            life *= 1.1 if stage(run) == "beginning" else 1.0
            if sum(moments.values()) % 20 == 0:
                print(dict(moments), flush=True)
        else:
            _, errors = process.communicate()
            assert process.returncode == 0, errors
            turn, life = turn + 1, 0.9 * life  # what goes on has less to do, and machines change
            run.path.rename(run.path.with_name(f"killed-{turn}"))  # its cache stays
            assert_same(RunFolder(run.path.with_name(f"killed-{turn}")), folder)
    process = begin(folder, "killed", alone=False)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert_same(run, folder)
    return moments


def assert_same(run, folder):
    """A run that was killed and the undisturbed one left the same behind."""
    whole = RunFolder(folder / "multirun" / "whole")
    assert left(run) == left(whole)
    for epoch, file in whole.epochs_kept().items():
        its = torch.load(run.checkpoint(epoch), weights_only=True)["state_dict"]
        for name, value in torch.load(file, weights_only=True)["state_dict"].items():
            assert torch.equal(value, its[name])
    assert not [file for file in run.path.rglob("*.tmp") if file.is_file()]


def test_a_few_kills(tmp_path):
    assert sum(survive(tmp_path, 3, seed=0, share=0.0).values()) == 3


@pytest.mark.slow
def test_many_kills(tmp_path, capsys):
    kills = int(os.environ.get("ROCOCAP_KILLS", "200"))
    moments = survive(tmp_path, kills, seed=1, share=0.2)
    with capsys.disabled():
        print(f"\n{sum(moments.values())} kills survived: {dict(moments)}")
    assert sum(moments.values()) == kills and len(moments) > 3
