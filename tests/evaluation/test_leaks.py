"""Images and captions of a split that were trained on are told, and none that only look alike."""

import io
from dataclasses import replace

import pytest
from test_baselines import cfg  # noqa: F401  # a fixture

from rococap.data.image import BytesImage
from rococap.data.phantom.source import Phantom
from rococap.evaluation.baselines import baseline_rows, copies
from rococap.evaluation.evaluate import _leaks
from rococap.evaluation.leaks import copied_captions, warnings
from rococap.recipe.parts import build_captioner, build_data
from rococap.recipe.recipe import Recipe
from rococap.runs.results import Row
from rococap.types import UserError


def again(example, name):
    """Its image as someone else stored it."""
    image = example.image.open().convert("L")
    image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(file := io.BytesIO(), "JPEG", quality=60)
    return replace(example, id=name, image=BytesImage(file.getvalue(), name))


class Half:
    """Of the eight test images three are training images."""

    def __init__(self):
        self.drawn = Phantom(train=40, valid=4, test=5, seed=0)

    def examples(self, split):
        found = self.drawn.examples(split)
        if split == "test":
            found += [again(example, f"again{place}") for place, example in enumerate(self.drawn.examples("train")[:3])]
        return found

    def fingerprint(self):
        return "half"


@pytest.mark.parametrize(("source", "count"), [(Half, 3), (lambda: Phantom(train=40, valid=4, test=8, seed=0), 0)])
def test_copies_are_found_and_nothing_else(source, count, cfg):  # noqa: F811
    cfg.data.fraction = 1.0
    recipe = replace(Recipe.of(cfg), build_source=source)
    captioner = build_captioner(recipe)
    data = build_data(recipe, captioner)
    assert baseline_rows(captioner, data, "test", recipe)
    found = copies(captioner, data, "test", recipe)
    train = [example.id for example in data.examples("train")]
    assert found == [(train[place], f"again{place}") for place in range(count)]
    if count:
        [said] = warnings("test", found, (0, 0.0), 8, [])
        assert "3 of 8 images also stand in train (again0 is " in said and "data.drop_leaks=true" in said


def test_captions_are_counted_and_told_where_train_itself_repeats_fewer():
    train = ["Chest X-ray.", "chest x-ray.", "CT of a head", "MR of a knee"]
    assert copied_captions(["chest  X-RAY.", "CT of a head", "another"], train) == (2, 0.5)
    assert warnings("test", [], (1, 0.5), 2, []) == []
    [said] = warnings("test", [], (2, 0.5), 3, [])
    assert "2 of 3 captions also stand in train word by word, where 50% of train's own stand twice" in said


def test_a_nearest_near_one_is_told():
    row = Row("test", "nearest", "all", "rouge_l", 0.95, None, None, 9, "")
    others = [replace(row, system="model"), replace(row, metric="cider"), replace(row, value=0.8)]
    assert warnings("test", [], (0, 0.0), 9, others) == []
    assert "nearest training images score rouge_l 0.95" in warnings("test", [], (0, 0.0), 9, [row])[0]


class Elsewhere(Phantom):
    """A copy of which the training images did not come along, or nothing of train did."""

    def __init__(self, listed):
        super().__init__(train=3, valid=1, test=2, seed=0)
        self.listed = listed

    def examples(self, split):
        if split == "train" and not self.listed:
            raise UserError("no captions of train")
        found = super().examples(split)
        absent = BytesImage(b"", "not here")
        return [replace(each, image=absent) for each in found] if split == "train" else found


@pytest.mark.parametrize("listed", [True, False])
def test_without_baselines_no_training_image_is_asked_for(listed, cfg):  # noqa: F811
    cfg.baselines = False
    recipe = replace(Recipe.of(cfg), build_source=lambda: Elsewhere(listed))
    captioner = build_captioner(recipe)
    data = build_data(recipe, captioner)
    assert _leaks(captioner, data, "test", recipe, []) == [] and list(data._datasets) == ["test"]
