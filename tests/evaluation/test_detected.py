"""A run of a detector, by what it leaves behind; and what it is held against."""

import csv
import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from rococap.evaluation.concept_systems import above_best, best_constant, neighbour_votes
from rococap.evaluation.concept_table import average_precision, concept_lines, file_of
from rococap.evaluation.evaluate import caption_images, evaluate
from rococap.metrics.concepts import Concepts
from rococap.metrics.measure import score
from rococap.recipe.labels import FILE, read_labels
from rococap.recipe.parts import best_captioner
from rococap.recipe.recipe import Recipe
from rococap.report.run import report
from rococap.runs import probabilities as kept
from rococap.runs.checkpoints import load
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions
from rococap.runs.results import read_results
from rococap.types import Concept, Labels, Prediction, UserError


def rows_of(detected):
    return {
        (row.system, row.metric): row for row in read_results(detected / "evaluation_results.csv") if row.slice == "all"
    }


def test_predictions_are_sets_above_the_thresholds_that_the_run_keeps(detected):
    folder = RunFolder(detected)
    found = kept.read_probabilities(detected / kept.file_of("test"))
    predictions = read_predictions(detected / "predictions" / "test.jsonl")
    labels = read_labels(detected / FILE)
    facts = load(folder.best_checkpoint())["facts"]
    assert found.ids == tuple(p.id for p in predictions) and found.cuis == labels.cuis == tuple(facts["labels"])
    np.testing.assert_array_equal(found.thresholds, np.float32(facts["thresholds"]))
    chosen = found.values >= found.thresholds
    assert [p.prediction for p in predictions] == [";".join(np.array(found.cuis)[row]) for row in chosen]
    assert labels.counts[0] == max(labels.counts) and labels.images == 96
    assert all(concept.name for concept in labels.concepts)


def test_scores_are_of_these_sets_beside_what_learns_nothing(detected):
    rows = rows_of(detected)
    predictions = read_predictions(detected / "predictions" / "test.jsonl")
    again = score({"c": Concepts()}, [p.prediction for p in predictions], [()] * 30, [p.concepts for p in predictions])
    for name, value in again.corpus.items():
        assert rows["model", name].value == pytest.approx(value)
    own = rows["model", "concept_f1"]
    assert own.ci_low < own.value < own.ci_high and "|threshold:global 0." in own.signature
    assert own.value > rows["model", "concept_f1_blind"].value
    assert {system for system, _ in rows} == {"model", "constant", "neighbours", "prior"}
    assert 0 < rows["model", "concept_map"].value <= 1
    guards = {guard["name"] for guard in RunFolder(detected).state["guards"]["test"]}
    assert {"empty_share", "common_set", "set_ratio", "over_untrained"} <= guards


def test_the_table_of_concepts_has_the_rare_ones_too(detected):
    with (detected / file_of("test")).open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows, predictions = rows_of(detected), read_predictions(detected / "predictions" / "test.jsonl")
    there = {c.cui for p in predictions for c in p.concepts}
    assert there <= {line["cui"] for line in lines} and lines[0]["name"]
    f1 = [float(line["f1"] or 0) for line in lines if int(line["support"])]
    assert rows["model", "concept_f1_macro"].value == pytest.approx(np.mean(f1))
    aps = [float(line["ap"]) for line in lines if line["ap"]]
    assert rows["model", "concept_map"].value == pytest.approx(np.mean(aps))
    assert all(float(line["threshold"]) > 0 for line in lines if line["training"] != "0")


def test_going_on_evaluating_and_detecting_need_the_folder_alone(detected, detection, run, tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path))
    image = tmp_path / "image.png"
    recipe = Recipe.of_run(RunFolder(detected))
    recipe.source.examples("test")[0].image.open().save(image)
    before = (detected / "predictions" / "test.jsonl").read_bytes()
    ((_, said),) = caption_images(detected, [image])
    assert said == read_predictions(detected / "predictions" / "test.jsonl")[0].prediction
    done = run(*detection, "name=detected")
    assert done.returncode == 0 and "concept_map" in done.stdout
    copy = shutil.copytree(detected, tmp_path / "copy")
    rows = evaluate(copy, "test")
    assert (copy / "predictions" / "test.jsonl").read_bytes() == before
    assert next(r.value for r in rows if r.metric == "concept_f1") == rows_of(detected)["model", "concept_f1"].value


def test_labels_do_not_hang_on_the_fraction_and_other_labels_are_refused(detected):
    folder = RunFolder(detected)
    recipe = Recipe.of_run(folder)
    part = replace(recipe, folder=None, data=replace(recipe.data, fraction=0.1))
    assert part.labels == recipe.labels
    rarer = replace(recipe, folder=None, concepts=replace(recipe.concepts, min_count=5))
    with pytest.raises(UserError, match="labels, and they are not the"):
        best_captioner(folder, rarer)


def test_the_page_shows_what_was_right_wrong_and_missed_and_where_it_looked(detected, tmp_path):
    page = (detected / "report.html").read_text(encoding="utf-8")
    for text in ("class='right'", 'class="missed"', "attention for ", "Precision and recall", "average precision"):
        assert text in page
    assert (detected / "samples.png").stat().st_size > 10_000
    folder = RunFolder(detected)
    recipe = Recipe.of_run(folder)
    drawn = report(folder, "test", recipe.source.examples("test"), None)
    assert "attention for" not in drawn["report"].read_text(encoding="utf-8")
    (detected / "report.html").write_text(page, encoding="utf-8")


def test_concepts_that_training_never_had_are_lines_and_count_as_missed():
    labels = Labels((Concept("C1", "CT"), Concept("C2", "Chest")), (9, 4), 10)
    predictions = [
        Prediction("a", "C1", (), (Concept("C1"), Concept("C7", "new"))),
        Prediction("b", "C1;C2", (), (Concept("C1"),)),
    ]
    values = np.float32([[0.9, 0.2], [0.8, 0.7]])
    found = kept.Probabilities(("a", "b"), ("C1", "C2"), values, np.float32([0.5, 0.5]))
    lines = {line.cui: line for line in concept_lines(predictions, labels, found)}
    assert list(lines) == ["C1", "C7", "C2"]
    assert (lines["C7"].recall, lines["C7"].precision, lines["C7"].f1, lines["C7"].training) == (0, None, 0, 0)
    assert (lines["C2"].recall, lines["C2"].precision, lines["C2"].ap) == (None, 0, None)
    assert (lines["C1"].ap, lines["C1"].f1, lines["C1"].threshold, lines["C1"].name) == (1, 1, 0.5, "CT")
    assert concept_lines(predictions)[0].training is None


@pytest.mark.parametrize(
    ("gold", "probabilities", "expected"),
    [
        ([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 1),
        ([0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6], (1 / 2 + 2 / 4) / 2),
        ([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], 1 / 2),  # what is equal comes together
        ([1, 0, 0], [0.1, 0.9, 0.1], 1 / 3),
    ],
)
def test_average_precision_as_scikit_learn_has_it(gold, probabilities, expected):
    assert average_precision(np.array(gold, bool), np.float32(probabilities)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_set_is_much_better_for_all_images(seed):
    draw, cuis = np.random.default_rng(seed), [f"C{n}" for n in range(6)]
    gold = [";".join(c for c in cuis if draw.random() < (0.5 if c < "C3" else 0.2)) for _ in range(40)]

    def value(said):
        return score({"c": Concepts()}, [said] * 40, [()] * 40, [images(text) for text in gold]).corpus["concept_f1"]

    every = [";".join(chosen) for size in range(7) for chosen in itertools.combinations(cuis, size)]
    assert value(best_constant(gold)) > max(map(value, every)) - 0.01


def images(text):
    return [Concept(cui) for cui in text.split(";") if cui]


def test_neighbours_vote():
    train = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1]]), dim=-1)
    labels = Labels((Concept("C1"), Concept("C2")), (3, 2), 5)
    votes = neighbour_votes(train[[0, 3]], train, ["C1", "C1;C9", "", "C2", "C2"], labels, 3)
    np.testing.assert_allclose(votes, [[2 / 3, 0], [1 / 3 * 0, 2 / 3]], atol=0.34)
    assert votes[0].tolist() == pytest.approx([2 / 3, 0]) and votes[1, 1] == pytest.approx(2 / 3)
    assert above_best(votes, votes, ["C1", "C2"], labels) == ["C1", "C2"]
    assert above_best(votes, votes, [], labels) == ["C1", "C2"]
    assert neighbour_votes(train, train, ["C1"] * 5, labels, 99).shape == (5, 2)


def test_damaged_probabilities_are_named(detected, tmp_path):
    file = tmp_path / "p.npz"
    file.write_bytes((detected / kept.file_of("test")).read_bytes()[:-40])
    with pytest.raises(UserError, match="holds no probabilities"):
        kept.read_probabilities(file)
    assert json.loads((detected / "model" / "concepts.json").read_text())[0]["threshold"] > 0
