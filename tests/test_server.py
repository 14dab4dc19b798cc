"""A command that a server has forked is a process as one that was started from nothing."""

import json
import os
import signal
import subprocess

import psutil
import pytest
from commands import SERVERS, command, start

pytestmark = pytest.mark.skipif(SERVERS not in os.environ, reason="there are servers on Linux only")
KINDS = pytest.mark.parametrize("kind", ["light", "heavy", None])
PROGRAM = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
print(json.dumps({
    "words": sys.argv, "cwd": os.getcwd(), "path": sys.path[0], "main": [__name__, __file__, __spec__],
    "environment": sorted(os.environ), "cache": os.environ["ROCOCAP_CACHE"],
    "files": sorted(os.listdir("/proc/self/fd"))[:4], "input": sys.stdin.read(),
    "signals": [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGCHLD)], "modules": "rococap" in sys.modules,
    "threads": len(os.listdir("/proc/self/task")), "parent": os.getppid(),
}, default=str), flush=True)
match sys.argv[1]:
    case "bug":
        raise RuntimeError("a bug")
    case "exit":
        print("said", file=sys.stderr)
        sys.exit(7)
    case "wait":
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        print(child.pid, flush=True)
        time.sleep(60)
    case "much":
        print("x" * 1_000_000)
        print("y" * 1_000_000, file=sys.stderr)
"""


@pytest.fixture
def program(tmp_path):
    """Runs or starts the program."""
    (tmp_path / "program.py").write_text(PROGRAM)
    return lambda do, word, kind, **options: do(
        "program.py", word, cwd=tmp_path, cache=tmp_path / "cache", kind=kind, **options
    )


def test_it_finds_what_a_fresh_one_finds(program, tmp_path):
    found = {}
    for kind in ("light", "heavy", None):
        done = program(command, "nothing", kind, environment={"COLUMNS": "77"})
        assert (done.returncode, done.stderr) == (0, "")
        found[kind] = {**json.loads(done.stdout), "parent": 0}
    assert found["light"] == found["heavy"] == found[None]
    assert found[None]["words"] == ["program.py", "nothing"] and found[None]["cwd"] == str(tmp_path)


@KINDS
def test_it_ends_as_it_says(kind, program):
    done = program(command, "exit", kind)
    assert (done.returncode, done.stderr) == (7, "said\n")
    done = program(command, "bug", kind)
    assert done.returncode == 1 and done.stderr.endswith('raise RuntimeError("a bug")\nRuntimeError: a bug\n')
    done = program(command, "much", kind)
    assert len(done.stdout) > 1_000_000 and done.stderr == "y" * 1_000_000 + "\n"


@KINDS
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_nothing_is_left(kind, number, program):
    process = program(start, "wait", kind)
    process.stdout.readline()
    child = psutil.Process(int(process.stdout.readline()))
    assert process.poll() is None and [p.pid for p in psutil.Process(process.pid).children()] == [child.pid]
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -number and ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    assert not psutil.pid_exists(process.pid)
    _, alive = psutil.wait_procs([child], timeout=30)  # its input has ended
    assert alive == []


def test_what_a_server_may_have_read_before_makes_a_fresh_one(program, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.here = True")
    (tmp_path / "program.py").write_text("print(here)")
    done = command("program.py", cwd=tmp_path, cache=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "True\n"
