"""A run that goes on where it and its data were moved to, on a machine that has never seen either."""

import shutil
import signal
import time
import zipfile

import pytest
import torch
from commands import ROOT, command, start
from drawn import COUNTS, zenodo

from rococap.models.base import captioner_state
from rococap.runs.folder import RunFolder
from rococap.types import SPLITS

WORDS = [ROOT / "train.py", "data=rocov2", "model=tiny", "data.fraction=0.5", "data.batch_size=4", "metrics=[]"]
WORDS += ["logger=[csv]", "baselines=false", "trainer.max_epochs=4", "decoding.max_new_tokens=6", "features=fp32"]


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """Where a run has ended, and another one was killed."""
    here = tmp_path_factory.mktemp("old")
    shutil.copytree(zenodo(), here / "data")
    words = [*WORDS, f"data.root={here / 'data'}"]
    whole = start(*words, "name=whole", cwd=here, cache=here / "cache")
    process, folder = start(*words, "name=killed", cwd=here, cache=here / "cache"), RunFolder(here / "multirun/killed")
    deadline = time.monotonic() + 250
    while folder.state.get("epochs_done", 0) < 1 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert folder.status == "killed"
    _, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors
    return here


@pytest.fixture(scope="module")
def new(old, tmp_path_factory):
    """Another place, with its own cache: runs were moved there, and the data unpacked."""
    here = tmp_path_factory.mktemp("new")
    shutil.move(old / "multirun", here / "multirun")
    shutil.move(old / "data", here / "radiographs")
    for split in SPLITS:
        packed = here / "radiographs" / f"{split}_images.zip"
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(here / "radiographs")
        packed.unlink()
    return here


def again(here, *words):
    """Give the killed run's command there."""
    words = [*WORDS, "data.root=radiographs", "name=killed", *words]
    return command(*words, cwd=here, cache=here / "cache")


def test_a_changed_byte_is_refused_in_two_lines(new):
    image = next((new / "radiographs" / "train").iterdir())
    content = image.read_bytes()
    image.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    table = new / "radiographs" / "test_concepts.csv"
    before = (new / "multirun" / "killed" / "run.json").read_bytes()
    refused = again(new)
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 2
    assert "was made with what has changed since: data.\non_change=keep" in refused.stderr
    image.write_bytes(content)
    text = table.read_bytes()
    table.write_bytes(text.replace(b"C0449416", b"C0449417", 1))
    assert again(new).stderr == refused.stderr
    table.write_bytes(text)
    assert (new / "multirun" / "killed" / "run.json").read_bytes() == before


def test_it_goes_on_to_the_end_of_the_undisturbed_run(new):
    done = again(new)
    assert done.returncode == 0, done.stderr
    killed, whole = (RunFolder(new / "multirun" / name) for name in ("killed", "whole"))
    assert killed.config.data.root == killed.config.data.source.root == "radiographs"
    assert killed.environment["data"] == whole.environment["data"]
    rows = [[(row["epoch"], row["train/loss"], row["val/loss"]) for row in run.metrics()] for run in (killed, whole)]
    assert rows[0] == rows[1] and len(rows[0]) == 4
    states = [captioner_state(torch.load(run.checkpoint(3), weights_only=True)) for run in (killed, whole)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    predictions = [(run.path / "predictions" / "test.jsonl").read_bytes() for run in (killed, whole)]
    assert predictions[0] == predictions[1]


def test_scripts_are_told_where_the_data_lies_now(new):
    run = ["--run", "multirun/whole"]
    lost = command(ROOT / "scripts/submit.py", *run, cwd=new, cache=new / "cache")
    assert lost.returncode == 2 and "--root DIR" in lost.stderr and "Traceback" not in lost.stderr
    moved = [*run, "--root", "radiographs"]
    done = command(ROOT / "scripts/submit.py", *moved, cwd=new, cache=new / "cache")
    assert done.returncode == 0 and f"{COUNTS['test']} captions" in done.stdout, done.stderr
    predictions = new / "multirun" / "whole" / "predictions" / "test.jsonl"
    before = predictions.read_bytes()
    predictions.unlink()
    done = command(ROOT / "scripts/evaluate.py", *moved, cwd=new, cache=new / "cache")
    assert done.returncode == 0 and "other data" not in done.stderr, done.stderr
    assert predictions.read_bytes() == before
