"""A real run with other choices than the starting recipe's: weights of 4 bits, augmented images, Lion of 8 bits."""

import pytest
from commands import ROOT, SMALL
from PIL import Image

from rococap.evaluation.evaluate import evaluate
from rococap.runs.folder import RunFolder

CHOICES = ["precision=nf4", "augment=light", "optimizer=lion_8bit", "optimizer.lr=1e-3"]


@pytest.fixture(scope="module")
def chosen(place, run):
    done = run(ROOT / "train.py", *SMALL, *CHOICES, "trainer.max_epochs=2", "metrics=[]", "logger=[csv]", "name=chosen")
    assert done.returncode == 0, done.stderr
    return RunFolder(place / "multirun" / "chosen")


def test_it_learns_from_changed_images_and_shows_them(chosen):
    first, last = (float(row["val/loss"]) for row in chosen.metrics())
    assert last < first
    assert "images are augmented" in (chosen.path / "train.log").read_text()  # and so no features are kept
    with Image.open(chosen.path / "augment.png") as picture:
        assert picture.size == (7 * 224, 6 * 224)


def test_it_is_captioned_anew_to_the_same_words(chosen):
    file = chosen.path / "predictions" / "test.jsonl"
    before = file.read_bytes()
    file.unlink()
    evaluate(chosen.path, "test")
    assert file.read_bytes() == before
