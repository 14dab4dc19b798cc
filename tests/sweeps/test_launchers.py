"""Sweeps whose jobs run in other processes: on this machine, on Ray, by submitit, and on SLURM where there is one."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from commands import BLOCK, ROOT, SMALL, command, start
from sweeping import begin, checkout, row, sweep

from rococap.runs.folder import RunFolder
from rococap.sweeps.gpus import visible_gpus

MISSING = {"joblib": "joblib", "ray": "ray", "slurm": "submitit"}
BESIDE = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
TRAINING = [ROOT / "train.py", "-m", *SMALL, "trainer.max_epochs=5", "metrics=[]", "logger=[csv]"]
TRAINING += ["callbacks=[]", "lora.rank=2,4"]


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


def test_a_job_whose_process_dies_does_not_end_the_others(place):
    done = sweep(place, "-m", "seed=104,1,2,3", "name=grid", *BESIDE)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert [row(done, f"seed={seed}")[0] for seed in (104, 1, 2, 3)] == ["killed", *["finished"] * 3]
    assert "gave up: TerminatedWorkerError: " in done.stdout and "1 of 4 jobs did not finish" in done.stderr


def test_a_job_that_ended_with_anothers_process_is_run_again(place):
    process = begin(place, "-m", "seed=106,107", "name=grid", *BESIDE)
    assert any("gave up" in line for line in process.stdout), process.stderr.read()
    (place / "mended").touch()
    out, errors = process.communicate(timeout=120)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, errors)
    assert done.returncode == 0, errors
    assert [row(done, f"seed={seed}")[0] for seed in (106, 107)] == ["finished", "finished"]


def test_a_launcher_that_can_not_begin_is_told_of_in_one_line(place):
    missing = {"PATH": str(place)}
    words = ["-m", "seed=1,2", "name=queue", "hydra/launcher=slurm"]
    done = sweep(place, *words, environment=missing)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.count("gave up: ") == 1 and row(done, "seed=1")[:2] == ["not", "started"]


def begun(process, folder, deadline=120):
    """Wait until a sweep's job is at work, and give the processes that the sweep has started."""
    end = time.monotonic() + deadline
    while RunFolder(folder).state.get("state") != "running" and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    alive = [p for p in children if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in alive if "submitit.core._submit" in p.cmdline()]


def test_a_job_that_is_told_to_leave_is_queued_again_and_ends(place):
    process = begin(place, "-m", "seed=1,103", "name=local", "hydra/launcher=submitit_local")
    job = place / "multirun" / "local" / "seed=103"
    tasks = begun(process, job)
    (place / "mended").touch()
    for task in tasks:
        task.send_signal(signal.SIGUSR2)
    out, errors = process.communicate(timeout=120)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, errors)
    assert done.returncode == 0, errors
    assert [row(done, f"seed={seed}")[0] for seed in (1, 103)] == ["finished", "finished"]
    logs = "".join(file.read_text() for file in (place / "multirun" / "local").glob(".submitit/*/*_log.*"))
    assert logs.count("works on seed=103") == 2 and "Requeued job" in logs


@pytest.mark.slow
def test_jobs_in_other_processes_are_waited_for_where_one_died(place):
    process = begin(place, "-m", "seed=104,106", "name=local", "hydra/launcher=submitit_local")
    assert any("has not produced any output" in line for line in process.stdout), process.stderr.read()
    (place / "mended").touch()
    out, errors = process.communicate(timeout=120)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, errors)
    assert done.returncode == 1 and "Traceback" not in errors, errors
    assert [row(done, f"seed={seed}")[0] for seed in (104, 106)] == ["killed", "finished"]


@pytest.mark.slow
def test_training_that_is_told_to_leave_ends_as_training_that_was_not(tmp_path):
    place = {"cwd": tmp_path, "cache": tmp_path / "cache"}
    whole = command(*TRAINING, "name=whole", timeout=600, **place)
    assert whole.returncode == 0, whole.stderr
    process = start(*TRAINING, "name=moved", "hydra/launcher=submitit_local", **place)
    job = RunFolder(tmp_path / "multirun" / "moved" / "lora.rank=4")
    tasks = begun(process, job.path)
    end = time.monotonic() + 300
    while job.state.get("epochs_done", 0) < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    for task in tasks:
        task.send_signal(signal.SIGUSR2)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    logs = "".join(file.read_text() for file in (tmp_path / "multirun" / "moved").glob(".submitit/*/*_log.*"))
    assert "Requeued job" in logs
    for rank in (2, 4):
        moved, other = (RunFolder(tmp_path / "multirun" / name / f"lora.rank={rank}") for name in ("moved", "whole"))
        assert moved.done and moved.best_score == other.best_score
        files = [folder.path / "predictions" / "test.jsonl" for folder in (moved, other)]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_jobs_on_ray(place):
    pytest.importorskip("ray")
    done = sweep(place, "-m", "seed=1,2,101,104", "name=grid", "hydra/launcher=ray")
    assert done.returncode == 1, done.stderr
    states = [row(done, f"seed={seed}")[0] for seed in (1, 2, 101, 104)]
    assert states == ["finished", "finished", "failed", "killed"]
    assert "seed=101: RuntimeError: a bug" in done.stdout and "2 of 4 jobs did not finish" in done.stderr


def slurm(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_job_of_slurm_is_queued_again_and_ends(place):
    if (
        shutil.which("scontrol") is None
        or "UP" not in subprocess.run(["scontrol", "ping"], capture_output=True, text=True).stdout
    ):
        pytest.skip("no SLURM answers here")
    small = [
        f"hydra.launcher.{word}" for word in ("gpus_per_node=null", "cpus_per_task=1", "mem_gb=1", "timeout_min=5")
    ]
    process = begin(place, "-m", "seed=1,103", "name=queue", "hydra/launcher=slurm", *small)
    folder = place / "multirun" / "queue"
    begun(process, folder / "seed=103", deadline=300)
    (place / "mended").touch()
    slurm("scancel", "--signal=USR2", *slurm("squeue", "-h", "-t", "R", "-o", "%A").split())
    out, errors = process.communicate(timeout=600)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, errors)
    assert done.returncode == 0, errors
    assert [row(done, f"seed={seed}")[0] for seed in (1, 103)] == ["finished", "finished"]
    logs = "".join(file.read_text() for file in folder.glob(".submitit/*/*_log.*"))
    assert logs.count("works on seed=103") == 2 and "Requeued job" in logs


HOLD = """
import sys, time
from rococap.sweeps.gpus import one_of
with one_of(["a-{0}", "b-{0}"]) as gpu:
    print(gpu, flush=True)
    sys.stdin.readline()
"""


def test_each_job_has_a_gpu_of_its_own_and_the_next_waits():
    code = HOLD.format(os.getpid())
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    first, second = (subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(2))
    gpus = [process.stdout.readline().strip() for process in (first, second)]
    assert sorted(gpus) == [f"a-{os.getpid()}", f"b-{os.getpid()}"]
    third = subprocess.Popen([sys.executable, "-c", code], **pipes)
    second.kill()  # and so gives back what it had
    assert third.stdout.readline().strip() == gpus[1]
    for process in (first, third):
        process.communicate("\n")


def test_visible_gpus_are_those_that_cuda_would_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-5")
    assert visible_gpus() == ["1", "GPU-5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
