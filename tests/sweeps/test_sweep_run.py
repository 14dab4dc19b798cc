"""A real sweep, killed in a job's epochs and given again, ends as one that was not."""

import signal
import time

import pytest
from commands import ROOT, SMALL, start
from sweeping import snapshot

from rococap.runs.folder import RunFolder

pytestmark = pytest.mark.slow
WORDS = [ROOT / "train.py", "-m", *SMALL, "trainer.max_epochs=5", "metrics=[]", "logger=[csv]", "lora.rank=2,4,8,16"]


def test_a_sweep_that_is_killed_in_its_second_job_ends_as_a_whole_one(place, run):
    whole = run(*WORDS, "name=whole", timeout=600)
    assert whole.returncode == 0, whole.stderr
    process = start(*WORDS, "name=killed", cwd=place, cache=place / "cache")
    second = RunFolder(place / "multirun" / "killed" / "lora.rank=4")
    deadline = time.monotonic() + 300
    while second.state.get("epochs_done", 0) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    first = RunFolder(place / "multirun" / "killed" / "lora.rank=2")
    assert first.done and second.state["state"] == "running"
    before = snapshot(first.path)

    done = run(*WORDS, "name=killed", timeout=600)
    assert done.returncode == 0 and "4 jobs, 1 of them finished before" in done.stdout, done.stderr
    assert snapshot(first.path) == before
    assert "epoch 1/5" not in done.stdout.partition("lora.rank=8")[0]  # it went on from its checkpoint
    for rank in (2, 4, 8, 16):
        ended, other = (RunFolder(place / "multirun" / name / f"lora.rank={rank}") for name in ("killed", "whole"))
        assert ended.best_score == other.best_score
        predictions = [(folder.path / "predictions" / "test.jsonl").read_bytes() for folder in (ended, other)]
        assert predictions[0] == predictions[1]
