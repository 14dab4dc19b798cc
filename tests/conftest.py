"""One small real run that many tests look at, and the servers of commands: one of each for all pytest processes."""

import os
import shutil
import signal
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: each of the tests' processes has one core
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the network, or waits for one that does not answer

import pytest
from commands import ROOT, SERVERS, SMALL, command
from filelock import FileLock
from server import KINDS, begin

from rococap.checks.jobs import Composer

LONG = (
    "test_run.py",
    "test_kills.py",
    "test_moved.py",
    "test_endings.py",
    "test_together.py",
    "test_readme.py",
    "test_optimizers.py",
    "test_launchers.py",
    "test_module.py",
)

# Started in the background, a shell ignores Ctrl-C, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Start the servers."""
    if sys.platform == "linux" and not hasattr(config, "workerinput"):
        os.environ[SERVERS] = tempfile.mkdtemp(prefix="servers-")
        config.servers = [begin(kind, os.environ[SERVERS]) for kind in KINDS]


def pytest_unconfigure(config):
    """End them."""
    for server in getattr(config, "servers", []):
        server.communicate()
    if hasattr(config, "servers"):
        shutil.rmtree(os.environ.pop(SERVERS))


@pytest.fixture
def jobs(monkeypatch):
    """The configs that a check of command lines has composed and found to be right: of a sweep, one for each job."""
    compose, right = Composer.job, []

    def job(composer, overrides):
        cfg, problems = compose(composer, overrides)
        if not problems:
            right.append(cfg)
        return cfg, problems

    monkeypatch.setattr(Composer, "job", job)
    return right


def pytest_collection_modifyitems(items):
    """The longest files first: what begins last must not keep one process alone at work."""
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if name in item.nodeid), len(LONG)))


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Where the session's runs land, with a cache of its own."""
    here = tmp_path_factory.getbasetemp()
    place = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "runs"
    place.mkdir(exist_ok=True)
    return place


@pytest.fixture(scope="session")
def run(place):
    """Run a command in `place`."""
    return lambda *words, **options: command(*words, cwd=place, cache=place / "cache", **options)


@pytest.fixture(scope="session")
def recipe():
    """What `finished` was run with, beside its name; of epochs enough to be stopped in three of them."""
    return [ROOT / "train.py", *SMALL, "trainer.max_epochs=4", "metrics=[bleu,cider]"]


@pytest.fixture(scope="session")
def detection():
    """What `detected` was run with, beside its name."""
    few = ["data.source.train=96", "data.source.valid=12", "data.source.test=30", "data.batch_size=16"]
    few += ["model.visual_tokens=49", "optimizer.lr=5e-3", "trainer.max_epochs=2", "logger=[csv]"]
    return [ROOT / "train.py", "data=phantom", "model=tiny_detector", *few]


@pytest.fixture(scope="session")
def detected(place, run, detection):
    """The folder of a finished run of a detector of concepts."""
    with FileLock(place / "detected.lock"):
        if not (place / "detected").exists():
            done = run(*detection, "name=detected")
            assert done.returncode == 0, done.stdout + done.stderr
            (place / "detected").write_text(done.stdout)
    return place / "multirun" / "detected"


@pytest.fixture(scope="session")
def finished(place, run, recipe):
    """The folder of a finished run, with scores and an offline W&B run."""
    with FileLock(place / "finished.lock"):
        if not (place / "finished").exists():
            done = run(*recipe, "name=finished")
            assert done.returncode == 0, done.stdout + done.stderr
            (place / "finished").touch()
    return place / "multirun" / "finished"
