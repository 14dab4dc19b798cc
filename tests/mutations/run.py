"""Make each mistake in a copy of the checkout and see whether its tests find it: `python tests/mutations/run.py [NAME...]`.

Prints a line each, and ends with 1 where one survived or is stale. It takes a quarter of a minute for each, on Linux or
macOS: what all tests import is imported once, and each pytest is forked from there.
"""

import fnmatch
import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from all_mutations import MUTATIONS
from mutation import ROOT

sys.path.append(str(ROOT / "tests"))
from server import HEAVY

PARTS = ["rococap", "conf", "scripts", "tests", "train.py", "README.md", "pyproject.toml", "constraints.txt", ".github"]


def checkout(folder):
    """A copy of what the tests need."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def outcome(mutation, folder):
    """Whether its tests fail, and the first that does."""
    if said := mutation.stale():
        return "STALE", said
    place = checkout(folder / mutation.name.replace(" ", "-"))
    mutation.make(place)
    words = [f"tests/{word}" if word[0] != "-" else word for word in mutation.tests.split()]
    said = folder / "said.txt"
    code = pytest_there(place, ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", *words], said)
    shutil.rmtree(place)
    if code == 0:
        return "SURVIVED", ""
    failed = [line for line in said.read_text().splitlines() if line.startswith(("FAILED", "ERROR"))]
    if code != 1 or not failed:
        return "BROKEN", said.read_text()[-1500:]
    return "caught", failed[0].partition(" tests/")[2].partition(" - ")[0]


def pytest_there(place, words, said):
    """Run pytest in a copy of the checkout, as a process of its own that writes into a file; gives its exit code."""
    if not (pid := os.fork()):
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.chdir(place)
        # The copy goes before whatever rococap is installed, in this process and in those that it starts.
        sys.path[:] = [str(place), *(path for path in sys.path if not path.startswith(str(ROOT / "tests")))]
        os.environ["PYTHONPATH"], sys.dont_write_bytecode = str(place), True
        del sys.modules["server"]
        code = importlib.import_module("pytest").main(words)
        sys.stdout.flush()
        os._exit(int(code))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(names):
    """Run those named, by patterns too; all where none is."""
    chosen = [m for m in MUTATIONS if not names or any(fnmatch.fnmatch(m.name, name) for name in names)]
    counts = {}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in [*HEAVY, "pytest"]:
        importlib.import_module(name)
    assert "rococap" not in sys.modules
    with tempfile.TemporaryDirectory() as folder:
        for mutation in chosen:
            begun = time.monotonic()
            how, said = outcome(mutation, Path(folder))
            counts[how] = counts.get(how, 0) + 1
            print(f"{how:9} {time.monotonic() - begun:4.0f} s  {mutation.name:44} {said}", flush=True)
    print(", ".join(f"{count} {how}" for how, count in counts.items()) or "no such mutation")
    return 0 if counts and counts.keys() <= {"caught"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
