"""Processes of one run that torchrun or SLURM started, on one machine or as if on two, and killed in turn."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import ROOT, SMALL, start
from test_meeting import free_port

from rococap.runs.folder import RunFolder

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
WORDS = [*SMALL, "trainer.max_epochs=6", "lora.dropout=0", "optimizer.lr=0.01", "metrics=[facts]", "logger=[csv]"]
WORDS += ["baselines=false", "trainer.accelerator=cpu", "data.global_batch_size=16"]


def tasks(words, place, count=2):
    """As srun starts them: exit codes, and what each said."""
    said = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": str(count), "SLURM_NODEID": "0", "SLURM_NNODES": "1"}
    ranks = [{**said, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(count)]
    started = [start(*words, cwd=place, cache=place / "cache", environment=each) for each in ranks]
    out = [process.communicate(timeout=200) for process in started]
    return [process.returncode for process in started], out


def begin(name, place, *options, log, cache=None):
    """A torchrun that trains."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "ROCOCAP_CACHE": str(cache or place / "cache"),
    }
    words = [*TORCHRUN, *options, str(ROOT / "train.py"), *WORDS, f"name={name}"]
    return subprocess.Popen(words, cwd=place, env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT)


def until_saved(folder, epoch, *processes):
    deadline = time.monotonic() + 200
    while not folder.checkpoint(epoch).is_file():
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes)
        time.sleep(0.02)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_same(one, other, *, bits):
    """The same weights, to rounding where fewer or more processes took the steps, and the same captions."""
    weights = [torch.load(folder.checkpoint(5), weights_only=True)["state_dict"] for folder in (one, other)]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]) if bits else torch.allclose(value, weights[1][name], atol=1e-4)
    predictions = [(folder.path / "predictions/test.jsonl").read_bytes() for folder in (one, other)]
    assert predictions[0] == predictions[1]


def test_of_tasks_of_slurms_the_first_settles_the_folder_for_all(finished, place, recipe):
    before = {file: file.stat().st_mtime_ns for file in finished.rglob("*") if file.name != ".lock"}
    codes, said = tasks([*recipe, "name=finished", "data.global_batch_size=16"], place)
    assert codes == [0, 0] and "cider" in said[0][0] and said[1][0] == "", said
    codes, said = tasks([*recipe, "name=finished", "trainer.devices=4"], place)
    assert codes == [2, 1] and "trainer.devices=4, but SLURM started 2 processes on 1 machine" in said[0][1], said
    assert "error" not in said[1][1] and {file: file.stat().st_mtime_ns for file in before} == before


@pytest.fixture(scope="module")
def undisturbed(place, run):
    """By one process."""
    done = run(ROOT / "train.py", *WORDS, "name=undisturbed")
    assert done.returncode == 0, done.stderr
    return RunFolder(place / "multirun/undisturbed")


@pytest.mark.slow
def test_tasks_of_slurms_without_a_name_share_a_folder(place, undisturbed):
    before = set(place.glob("multirun/20*/*"))
    codes, said = tasks([ROOT / "train.py", *WORDS], place)
    assert codes == [0, 0], said
    [path] = set(place.glob("multirun/20*/*")) - before
    assert_same(RunFolder(path), undisturbed, bits=False)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_torchrun_starts_a_killed_run_again(rank, place, tmp_path):
    whole, again = (RunFolder(place / "multirun" / f"{name}{rank}") for name in ("whole", "again"))
    for folder, options in ((whole, []), (again, ["--max-restarts=1"])):
        log = tmp_path / folder.path.name
        with begin(folder.path.name, place, "--nproc_per_node=2", *options, log=log) as process:
            if folder == again:
                until_saved(folder, 1, process)
                os.kill(children(process.pid)[rank], signal.SIGKILL)
            assert process.wait(timeout=300) == 0, log.read_text()
    assert_same(whole, again, bits=True)


@pytest.mark.slow
def test_two_machines_killed_in_turn_go_on(place, undisturbed, tmp_path):
    folder = RunFolder(place / "multirun/machines")
    for turn, (epoch, killed) in enumerate(((0, 0), (2, 1), (5, None))):
        log = tmp_path / f"{turn}"
        options = [
            "--nnodes=2",
            "--nproc_per_node=1",
            "--rdzv_backend=c10d",
            f"--rdzv_endpoint=127.0.0.1:{free_port()}",
        ]
        agents = [
            begin("machines", place, *options, log=log.with_suffix(f".{number}"), cache=tmp_path / f"cache{number}")
            for number in range(2)
        ]
        if killed is not None:
            until_saved(folder, epoch, *agents)
            agents[killed].kill()
        codes = [agent.wait(timeout=120) for agent in agents]
        said = "".join(file.read_text() for file in tmp_path.glob(f"{turn}.*"))
        assert [bool(code) for code in codes] == [killed is not None] * 2, said
        # A torchrun that has lost the place where the agents meet may be the first to say so.
        words = ("nother process of this run ended", "Process 0 of this run", "RendezvousConnectionError")
        assert killed is None or any(word in said for word in words), said
    assert folder.config.trainer.num_nodes == 2 and folder.state["state"] == "finished"
    assert_same(folder, undisturbed, bits=False)


@pytest.mark.slow
def test_a_run_goes_on_with_two_processes_then_one_then_two(place, run, undisturbed):
    folder = RunFolder(place / "multirun/changing")
    for epoch, devices in ((0, 2), (2, 1)):
        words = [ROOT / "train.py", *WORDS, f"trainer.devices={devices}", "name=changing"]
        process = start(*words, cwd=place, cache=place / "cache")
        until_saved(folder, epoch, process)
        process.kill()
        process.communicate(timeout=60)
    done = run(ROOT / "train.py", *WORDS, "trainer.devices=2", "name=changing")
    assert done.returncode == 0, done.stderr
    assert_same(folder, undisturbed, bits=False)
