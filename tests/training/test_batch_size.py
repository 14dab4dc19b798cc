"""data.batch_size=auto finds what fits, once for a run."""

import pytest
from commands import ROOT, SMALL

from rococap.runs.folder import RunFolder
from rococap.training import batch_size
from rococap.training.batch_size import largest
from rococap.types import UserError


@pytest.mark.parametrize(("holds", "most", "found"), [(1, 64, 1), (7, 64, 4), (8, 64, 8), (100, 64, 64), (100, 50, 32)])
def test_it_is_the_largest_power_of_two_that_fits(holds, most, found):
    tried = []
    assert largest(lambda size: tried.append(size) or size <= holds, most) == found
    assert max(tried) <= most and len(set(tried)) == len(tried)


def test_where_nothing_fits_it_says_so():
    with pytest.raises(UserError, match="not even one image fits"):
        largest(lambda size: False, 64)


def test_on_a_cpu_it_stops_before_memory_is_gone(monkeypatch):
    peaks = iter([100.0, 110.0, 120.0, 140.0])  # of a process, before and after steps of 1, 2 and 4 images
    monkeypatch.setattr(batch_size, "own_peak", lambda: next(peaks))
    monkeypatch.setattr(batch_size, "free_memory", lambda: 150)
    steps = []
    assert largest(batch_size._on_cpu(steps.append), 64) == 4 and steps == [1, 2, 4]


def test_where_nothing_trains_nothing_is_tried(place, run):
    words = [ROOT / "train.py", *SMALL, "lora=zero_shot", "data.batch_size=auto", "metrics=[]", "logger=[csv]"]
    done = run(*words, "baselines=false", "name=auto_zero")
    assert done.returncode == 0 and "batch_size" not in RunFolder(place / "multirun" / "auto_zero").state, done.stderr


def test_a_run_that_goes_on_has_the_size_that_was_found(place, run):
    words = [ROOT / "train.py", *SMALL, "data.batch_size=auto", "metrics=[]", "logger=[csv]", "baselines=false"]
    words += ["scheduler=constant", "scheduler.warmup=0", "name=auto"]
    done = run(*words, "trainer.max_epochs=1")
    folder = RunFolder(place / "multirun" / "auto")
    assert done.returncode == 0, done.stderr
    assert folder.state["batch_size"] == 8 and folder.state["step"] == 16  # of 128 images: 10 steps an epoch at least
    assert "data.batch_size=auto: 8 images" in done.stdout and "suits AdamW" in done.stdout
    folder.note(batch_size=4)
    done = run(*words, "trainer.max_epochs=2")
    assert done.returncode == 0 and folder.state["step"] == 16 + 32, done.stderr
