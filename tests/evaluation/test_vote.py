"""Runs that say together what none of them says alone."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import ROOT, command

from rococap.evaluation.vote import consensus, join_sets, mean_probabilities, vote
from rococap.metrics.signature import difference
from rococap.runs.locks import require_writable
from rococap.runs.predictions import PredictionWriter, read_predictions
from rococap.runs.probabilities import Probabilities, file_of, write_probabilities
from rococap.runs.results import read_results
from rococap.types import Concept, Prediction, UserError

CUIS = ("C1", "C2")
GOLD = {"a": ("C1",), "b": ("C2",), "c": ("C1", "C2")}


def made_run(finished, path, values, cuis=CUIS, captions=None):
    """A run's folder that predicted three images of two splits with some probabilities, or some captions."""
    path.mkdir()
    shutil.copy(finished / "config.yaml", path / "config.yaml")
    for split in ("valid", "test"):
        with PredictionWriter(path / "predictions" / f"{split}.jsonl") as file:
            for number, (name, gold) in enumerate(GOLD.items()):
                said = (
                    captions[number]
                    if captions
                    else ";".join(c for c, p in zip(cuis, values[number], strict=True) if p >= 0.5)
                )
                file.write(Prediction(name, said, ("a reference",), tuple(map(Concept, gold))))
        if not captions:
            found = Probabilities(tuple(GOLD), cuis, np.float32(values), np.float32([0.5] * len(cuis)))
            write_probabilities(path / file_of(split), found)
    return path


@pytest.fixture
def runs(detected, tmp_path):
    one = made_run(detected, tmp_path / "one", [[0.9, 0.6], [0.1, 0.7], [0.8, 0.2]])
    other = made_run(detected, tmp_path / "other", [[0.7, 0.1], [0.3, 0.8], [0.4, 0.6]])
    return [one, other]


def said(runs, how):
    return [prediction.prediction for prediction in vote(runs, "test", how)[0]]


def test_sets_are_joined(runs):
    assert said(runs, "union") == ["C1;C2", "C2", "C1;C2"]
    assert said(runs, "intersection") == ["C1", "C2", ""]
    assert join_sets([{"a": ""}, {"a": "C3;C1"}], everywhere=False) == {"a": "C3;C1"}


def test_the_threshold_of_the_mean_is_chosen_on_valid(runs):
    predictions, made = vote(runs, "test", None)
    assert [p.prediction for p in predictions] == ["C1", "C2", "C1;C2"]  # means .8 .35, .2 .75, .6 .4
    assert [p.concepts for p in predictions] == [tuple(map(Concept, gold)) for gold in GOLD.values()]
    assert made[0] == "vote:mean of 2" and 0.35 < float(made[1].removeprefix("threshold:global ")) <= 0.4
    assert difference(["|".join(("n:3", *made)), "n:3"]) == ""


def test_of_labels_that_not_all_know_the_mean_is_over_those_that_do():
    one = Probabilities(("a", "b"), ("C1",), np.float32([[0.2], [0.4]]), np.float32([0]))
    other = Probabilities(("b", "a"), ("C2", "C1"), np.float32([[0.8, 0.6], [0.1, 1.0]]), np.float32([0, 0]))
    mean = mean_probabilities([one, other])
    assert mean.ids == ("a", "b") and mean.cuis == ("C1", "C2")
    np.testing.assert_allclose(mean.values, [[0.6, 0.1], [0.5, 0.8]])


def test_the_caption_closest_to_the_others_is_taken():
    texts = [
        {"a": "a ring in the sky", "b": "the moon over the sea", "c": "x"},
        {"a": "ct of the head with a mass", "b": "a mass in the lung", "c": "x"},
        {"a": "ct of the head with a mass on the left", "b": "a small mass in the left lung", "c": "x"},
    ]
    assert consensus(texts) == {"a": texts[1]["a"], "b": texts[1]["b"], "c": "x"}
    with pytest.raises(UserError, match="A consensus needs 3 runs"):
        consensus(texts[:2])


def test_what_cannot_be_joined_is_said(runs, detected, tmp_path):
    captioner = made_run(detected, tmp_path / "captioner", [], captions=["one", "two", "three"])
    with pytest.raises(UserError, match="Some of these runs give concepts, others captions"):
        vote([*runs, captioner], "test", None)
    with pytest.raises(UserError, match="--how consensus: these runs give concepts"):
        vote(runs, "test", "consensus")
    with pytest.raises(UserError, match="two runs at least"):
        vote(runs[:1], "test", "union")
    with pytest.raises(UserError, match="each of them once"):
        vote([*runs, runs[1].parent / "one" / ".." / "one"], "test", "union")
    (runs[1] / file_of("valid")).unlink()
    with pytest.raises(UserError, match=r"valid_probabilities.npz is not there.\nMake it: python scripts/evaluate.py"):
        vote(runs, "test", "mean")
    with pytest.raises(UserError, match="is no run's folder"):
        vote([tmp_path, runs[0]], "test", "union")


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("other", ["an image", "a concept", "an order"])
def test_runs_for_which_something_else_is_right_are_not_joined(split, other, runs):
    file = runs[1] / "predictions" / f"{split}.jsonl"
    predictions = read_predictions(file)
    if other == "an image":
        predictions = predictions[1:]
    if other == "a concept":
        predictions[0] = replace(predictions[0], concepts=(Concept("C2"),))
    if other == "an order":
        predictions = predictions[::-1]
    with PredictionWriter(file) as writer:
        for prediction in predictions:
            writer.write(prediction)
    if other == "an order":
        assert said(runs, "mean") == ["C1", "C2", "C1;C2"]
        return
    with pytest.raises(UserError, match=r"other (images of|captions or concepts of a).*\n.*one dataset"):
        vote(runs, "test", "mean")


def test_a_run_is_not_written_over(runs):
    (runs[0] / "run.json").write_text("{}")
    with pytest.raises(UserError, match="one is a run's folder, and what it holds would be lost"):
        require_writable(runs[0])


def test_the_command_writes_and_scores_what_is_joined(runs, tmp_path):
    done = command(ROOT / "scripts/vote.py", *runs, "--out", "joined", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {row.metric: row for row in read_results(tmp_path / "joined" / "evaluation_results.csv")}
    assert rows["concept_f1"].value == 1 and "vote:mean of 2|threshold:global 0." in rows["concept_f1"].signature
    assert [p.prediction for p in read_predictions(tmp_path / "joined/predictions/test.jsonl")] == ["C1", "C2", "C1;C2"]
    assert (tmp_path / "joined" / "scores" / "test_concepts.csv").is_file()
