import csv

import numpy as np
import pytest
from commands import MINI
from drawn import zenodo

from rococap.metrics.concept_f1 import ConceptDictionaryF1, build_dictionary, find_concepts
from rococap.metrics.measure import score
from rococap.types import Concept, UserError

CT = Concept("C0040405", "X-Ray Computed Tomography", True)
XRAY = Concept("C1306645", "Plain x-ray", True)
CHEST = Concept("C0817096", "Chest")
METRIC = {"f1": ConceptDictionaryF1()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Plain X-ray of the chest.", {"C1306645", "C0817096"}),
        ("x-ray computed tomography", {"C0040405"}),  # the longest name, not the x-ray in it
        ("Plain X-Ray: computed tomography", {"C1306645"}),  # overlapping names: the first from the left
        ("chests, chesty", set()),
        ("", set()),
    ],
)
def test_names_are_found_as_whole_words(text, found):
    assert find_concepts(text, build_dictionary([CT, XRAY, CHEST])) == found


def test_two_concepts_of_one_name_are_both_meant():
    assert find_concepts("a CHEST", build_dictionary([CHEST, Concept("C2", "chest")])) == {"C0817096", "C2"}


def test_f1_is_over_all_images_and_of_each():
    predictions = ["plain x-ray of the chest", "plain x-ray", "a dog"]
    scores = score(METRIC, predictions, [["x"]] * 3, [[XRAY, CHEST], [CT], []])
    assert scores.corpus["concept_dictionary_f1"] == pytest.approx(2 * 2 / (3 + 3))
    np.testing.assert_allclose(scores.per_sample["concept_dictionary_f1"], [1, 0, 1])


@pytest.mark.parametrize("concepts", [(), [[], []], [[Concept("C1")], []]])
def test_without_names_there_is_no_score(concepts):
    with pytest.raises(UserError, match="needs the images' concepts with their names"):
        score(METRIC, ["a", "b"], [["x"]] * 2, concepts)


def test_concepts_without_a_name_are_left_out():
    scores = score(METRIC, ["the chest"], [["x"]], [[CHEST, Concept("C9")]])
    assert scores.corpus == {"concept_dictionary_f1": 1.0}


@pytest.mark.parametrize("folder", [zenodo(), MINI], ids=["drawn", "real"])
def test_the_names_of_cui_mapping_are_found_in_a_caption_that_lists_them(folder):
    if not folder.is_dir():
        pytest.skip(f"needs {folder.name}")
    with (folder / "cui_mapping.csv").open(encoding="utf-8-sig", newline="") as file:
        concepts = [Concept(row["CUI"], row["Canonical name"]) for row in csv.DictReader(file)]
    text = "; ".join(concept.name for concept in concepts)
    assert find_concepts(text, build_dictionary(concepts)) == {concept.cui for concept in concepts}
