"""Several real processes at one run: what they make is what one makes, also where one of them dies."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from commands import ROOT, SMALL, start

from rococap.runs.checkpoints import load
from rococap.runs.folder import RunFolder
from rococap.runs.results import FILE, read_results


@pytest.mark.slow
def test_a_signal_to_one_of_two_processes_keeps_the_state_of_both_within_an_epoch(place, run):
    words = [ROOT / "train.py", *SMALL, "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=4"]
    words += ["metrics=[]", "logger=[csv]", "baselines=false", "lora.dropout=0.2", "checkpoint.every=0.1s"]
    words += ["trainer.max_epochs=1"]
    stopped, whole = (RunFolder(place / "multirun" / name) for name in ("signalled", "unsignalled"))
    process = start(*words, "name=signalled", cwd=place, cache=place / "cache")
    deadline = time.monotonic() + 200
    while not stopped.last.is_file():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGUSR1 and errors.count("interrupted by SIGUSR1; to go on: ") == 1, (
        errors
    )
    assert (stopped.state["state"], stopped.state["last_error"]) == ("interrupted", "SIGUSR1")
    last = load(stopped.last)
    assert 0 < last["batches"] < 16 and len(last["train_loss"]) == 2
    for name in ("signalled", "unsignalled"):
        done = run(*words, f"name={name}")
        assert done.returncode == 0, done.stderr
    one, other = (load(folder.checkpoint(0))["state_dict"] for folder in (stopped, whole))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    for name in ("step", "train/loss", "val/loss"):
        assert [row[name] for row in stopped.metrics()] == [row[name] for row in whole.metrics()]


def test_two_processes_do_what_one_does_and_go_on_where_one_of_them_died(place, run):
    """By plain gradient descent without clipping, which show a wrong factor of a gradient; the last batch is of one."""
    words = ["data.source.train=65", "data.source.test=60", "data.global_batch_size=16", "trainer.accelerator=cpu"]
    words += ["lora.dropout=0", "features=fp32", "metrics=[facts]", "logger=[csv]", "trainer.gradient_clip_val=null"]
    words += ["optimizer._target_=torch.optim.SGD", "~optimizer.betas", "optimizer.lr=0.1", "scheduler=constant"]
    words = [ROOT / "train.py", *SMALL, *words, "decoding.batch_size=1"]
    pair, one = (RunFolder(place / "multirun" / name) for name in ("pair", "one"))
    first = start(*words, "trainer.devices=2", "name=pair", cwd=place, cache=place / "cache")
    halves = [pair.path / f"predictions/test.part-{rank}" for rank in (0, 1)]
    deadline = time.monotonic() + 200
    while not all(half.is_file() and half.read_bytes().count(b"}") > 2 for half in halves):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    [helper] = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(int(helper), signal.SIGKILL)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 2 and "error: Process 1 ended by SIGKILL" in errors and "Traceback" not in errors
    lines = [[line for line in half.read_bytes().splitlines()[:-1] if line] for half in halves]
    ids = [{name for line in each for name in json.loads(line.split(b" ", 1)[1])[1]} for each in lines]
    assert all(ids) and not ids[0] & ids[1]
    assert pair.state["state"] == "failed" and not (pair.path / "predictions/test.jsonl").exists()
    for name, devices in (("pair", 2), ("one", 1)):
        done = run(*words, f"trainer.devices={devices}", f"name={name}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("best val/loss") == 1
    assert [row["step"] for row in pair.metrics()] == ["5.0", "10.0"]
    assert sorted(p.name for p in pair.path.glob("*.log")) == ["train.log"]
    for several, single in zip(pair.metrics(), one.metrics(), strict=True):
        for name in ("step", "train/loss", "val/loss", "val/facts"):
            assert float(several[name]) == pytest.approx(float(single[name]), rel=1e-5)
    losses = [float(row["train/loss"]) for row in one.metrics()]
    assert losses[1] < 0.97 * losses[0]  # far enough for a factor to be seen
    dataset = json.loads((pair.path / "environment.json").read_text())["data"][:16]
    chunks = [json.loads(f.read_text())["ids"] for f in place.glob(f"cache/features/{dataset}-*/train/*.json")]
    assert sorted(map(len, chunks)) == [32, 33]  # each process encoded some
    assert len({name for chunk in chunks for name in chunk}) == 65
    assert (pair.path / "predictions/test.jsonl").read_bytes() == (one.path / "predictions/test.jsonl").read_bytes()
    assert [file.name for file in (pair.path / "predictions").iterdir()] == ["test.jsonl"]
    assert [(r.system, r.n) for r in read_results(pair.path / FILE)] == [
        (r.system, r.n) for r in read_results(one.path / FILE)
    ]
