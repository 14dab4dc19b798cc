"""How a program that is guarded as train.py is ends: by a mistake, a bug, a signal."""

import signal
import subprocess
import sys
import textwrap

import pytest

from rococap.runs import interruption

SCRIPT = """
    import os, signal, sys
    import hydra
    from rococap.cli import user_errors
    from rococap.runs.interruption import guarded
    from rococap.types import UserError

    @hydra.main(config_path=".", config_name="program", version_base="1.3")
    @guarded
    def main(cfg):
        print("start", cfg.do, flush=True)
        if cfg.do == "mistake":
            raise UserError("the data is not there")
        if cfg.do == "bug":
            raise RuntimeError("a bug of ours")
        if cfg.do.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[cfg.do])
        return 0.5

    if __name__ == "__main__":
        with user_errors():
            main()
"""


@pytest.fixture
def command(tmp_path):
    """Runs a small Hydra program that is guarded as train.py is."""
    (tmp_path / "program.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "program.yaml").write_text("hydra: {run: {dir: multirun/a/run}, sweep: {dir: multirun/a/sweep}}\n")

    def run(*words):
        line = [sys.executable, "program.py", *words]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)

    return run


def test_a_good_run(command):
    done = command("+do=nothing")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_users_mistake_is_shown_without_traceback(command):
    done = command("+do=mistake")
    assert (done.returncode, done.stderr) == (2, "error: the data is not there\n")


def test_a_bug_keeps_its_traceback(command):
    done = command("+do=bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "a bug of ours" in done.stderr


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ("+seed=3", " name=a/run"),
        ("+name=mine", ""),
        ("hydra.run.dir=other", ""),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(command, given, added):
    done = command("+do=SIGINT", given)
    assert done.returncode == 130
    assert done.stderr == f"interrupted by SIGINT; to go on: python program.py +do=SIGINT {given}{added}\n"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"])
def test_each_signal_has_its_exit_code(command, name):
    done = command(f"+do={name}", "+name=mine")
    assert done.returncode == 128 + signal.Signals[name]
    assert done.stderr == f"interrupted by {name}; to go on: python program.py +do={name} +name=mine\n"


def test_a_job_that_fails_does_not_end_a_sweep(command):
    done = command("-m", "+do=mistake,first,bug,last")
    assert done.returncode == 0  # a sweeper of ours says what failed: tests/test_sweep.py
    started = [line for line in done.stdout.splitlines() if line.startswith("start")]
    assert started == ["start mistake", "start first", "start bug", "start last"]
    assert "error in job 0: the data is not there" in done.stderr
    assert "RuntimeError: a bug of ours" in done.stderr


def test_the_name_is_added_before_a_flag_that_follows(command):
    done = command("+do=SIGINT", "--run")
    assert done.stderr == "interrupted by SIGINT; to go on: python program.py +do=SIGINT name=a/run --run\n"


def test_an_interruption_ends_a_sweep(command):
    done = command("-m", "+do=SIGTERM,last")
    assert (done.returncode, done.stderr) == (143, "interrupted by SIGTERM\n")
    assert "start last" not in done.stdout


HELD = """
    import os, signal, time
    from rococap.cli import Interrupted
    from rococap.runs import interruption

    interruption.listen()
    interruption.hold()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    print("work is brought to its end", interruption.asked(), flush=True)
    {then}
    try:
        interruption.release()
    except Interrupted as stop:
        print("then", stop, stop.exit_code)
"""


@pytest.mark.parametrize(
    ("then", "code", "said"),
    [("", 0, ["work is brought to its end 15", "then SIGTERM 143"]),
     ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT, ["work is brought to its end 15"])],
)  # fmt: skip
def test_what_must_not_be_torn_comes_to_its_end_unless_ctrl_c_comes_again(then, code, said):
    code_of_it = textwrap.dedent(HELD.format(then=then))
    done = subprocess.run([sys.executable, "-c", code_of_it], capture_output=True, text=True)
    told = "\nSIGTERM: ends after this step; Ctrl-C leaves at once\n"
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (code, said, told)


FORKED = """
    import os, signal
    from rococap.runs import interruption

    interruption.listen()
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGINT)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_worker_that_was_forked_outlives_ctrl_c():
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(FORKED)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("7\n", "")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, ["python"]),
        ({"LOCAL_RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a"}, ["torchrun", "--nproc_per_node=2"]),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, ["srun", "python"]),
    ],
)
def test_what_goes_on_is_started_as_this_was(said, words, monkeypatch):
    for name in ("LOCAL_RANK", "WORLD_SIZE", "SLURM_PROCID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert interruption._starter() == words
