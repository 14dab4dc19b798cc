"""One small real run that many tests look at."""

import signal

import pytest
from commands import ROOT, SMALL, command

# Started in the background, a shell ignores Ctrl-C, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Where the session's runs land, with a cache of its own."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def run(place):
    """Run a command in `place`."""
    return lambda *words, **options: command(*words, cwd=place, cache=place / "cache", **options)


@pytest.fixture(scope="session")
def recipe():
    """What `finished` was run with, beside its name."""
    return [ROOT / "train.py", *SMALL, "metrics=[bleu,cider]"]


@pytest.fixture(scope="session")
def finished(place, run, recipe):
    """The folder of a finished run, with scores and an offline W&B run."""
    done = run(*recipe, "name=finished")
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "multirun" / "finished"
