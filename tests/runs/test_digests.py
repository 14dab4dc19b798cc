"""What a run is gone on with, evaluated, submitted or compared from is as it was written, or is named."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from rococap.compare.gather import gather
from rococap.compare.runs import find_runs
from rococap.recipe.recipe import Recipe
from rococap.runs.checkpoints import fault, load
from rococap.runs.folder import RunFolder
from rococap.runs.overview import of_run
from rococap.runs.results import read_results
from rococap.runs.terminal import show_run
from rococap.types import UserError


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a finished run."""
    return RunFolder(shutil.copytree(finished, tmp_path / "copy", ignore=shutil.ignore_patterns("wandb", "*.html")))


def flip(file):
    """Turn one digit in the middle of a file into another."""
    content = bytearray(file.read_bytes())
    place = next(i for i in range(len(content) // 2, len(content)) if chr(content[i]) in "0123456789")
    content[place] ^= 1
    file.write_bytes(content)


def cut(file):
    """Leave the first third of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])


OPENED = {  # by what opens it
    "run.json": lambda folder: folder.state,
    "config.yaml": Recipe.of_run,
    "metrics.csv": lambda folder: folder.metrics(),
    "evaluation_results.csv": show_run,
    "predictions/test.jsonl": lambda folder: folder.verify("predictions/test.jsonl"),
    "scores/test_per_sample.csv": lambda folder: folder.verify("scores/test_per_sample.csv"),
}


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("name", OPENED)
def test_a_damaged_file_is_named_with_what_to_do(name, damage, copy):
    OPENED[name](copy)
    damage(copy.path / name)
    with pytest.raises(UserError) as error:
        OPENED[name](copy)
    lines = str(error.value).splitlines()
    assert name.rpartition("/")[2] in lines[0] and 1 <= len(lines) <= 2


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "metrics.csv", "evaluation_results.csv"])
def test_a_damaged_run_is_listed_as_broken(name, copy):
    flip(copy.path / name)
    found = of_run(copy.path)
    assert found.state == "broken" and name in found.note


def test_a_results_file_that_lost_its_rows_is_no_run_without_scores(copy):
    file = copy.path / "evaluation_results.csv"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="holds no scores"):
        read_results(file)
    with pytest.raises(UserError, match=r"evaluation_results.csv is damaged"):
        show_run(copy)


def test_a_damaged_run_is_left_out_of_a_comparison_with_the_reason(copy, finished):
    flip(copy.path / "predictions" / "test.jsonl")
    _, left_out = gather(find_runs([copy.path, finished]))
    (reason,) = left_out.values()
    assert "predictions/test.jsonl is damaged" in reason


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_one_bit_of_a_checkpoint_is_noticed(share, copy):
    file = copy.best_checkpoint()
    assert fault(file) is None and load(file)["state_dict"]
    content = bytearray(file.read_bytes())
    content[int(len(content) * share)] ^= 4
    file.write_bytes(content)
    assert fault(file) is not None
    with pytest.raises(UserError, match=f"{file.name} cannot be read"):
        load(file)


def test_what_was_written_before_files_were_sealed_is_taken(copy):
    state = {key: value for key, value in copy.state.items() if key != "digests"}
    (copy.path / "run.json").write_text(json.dumps(state))
    flip(copy.path / "metrics.csv")
    assert copy.metrics() and copy.state["state"] == "finished"


def test_between_a_digest_and_its_file_nothing_is_taken_for_damaged(copy, monkeypatch):
    """Killed right before metrics.csv is replaced, or right after."""
    rows = copy.metrics()

    def killed(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(copy.__class__.__module__ + ".write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            copy._announce("metrics.csv", "new\n")
    copy._announce("metrics.csv", "new\n")
    assert copy.metrics() == rows
    (copy.path / "metrics.csv").write_text("new\n")
    assert copy.metrics() == []


class Bomb:
    """What runs a command where a pickle is read in full."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


def test_a_checkpoint_that_holds_more_than_values_is_refused_and_nothing_of_it_runs(tmp_path):
    file, place = tmp_path / "last.ckpt", tmp_path / "ran"
    torch.save({"state_dict": {}, "global_step": Bomb(place)}, file)
    with pytest.raises(UserError) as error:
        load(file)
    assert "holds more than tensors and plain values" in str(error.value) and not place.exists()
    assert len(str(error.value).splitlines()) == 2
    file.write_bytes(b"no archive")
    with pytest.raises(UserError, match="it is cut off or was changed"):
        load(file)
