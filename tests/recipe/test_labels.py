import pytest

from rococap.data.manual import OnlyManual
from rococap.recipe.labels import labels_of, read_labels, require_judged, write_labels
from rococap.types import Concept, Example, UserError


class Listed:
    """A source of examples whose concepts alone are of interest."""

    def __init__(self, *images):
        self.images = images

    def examples(self, split):
        return [Example(str(n), None, ("text",), concepts) for n, concepts in enumerate(self.images)]

    def fingerprint(self):
        return "x"


CT, CHEST, RARE = Concept("C1", "CT", True), Concept("C2", "Chest", True), Concept("C3")
SOURCE = Listed((CT, CHEST), (CT, Concept("c1")), (RARE, CT), (), (CHEST, Concept("C9", "", True, listed=False)))


def test_the_most_frequent_come_first_and_each_counts_once_an_image():
    labels = labels_of(SOURCE, 1)
    assert labels.cuis == ("C1", "C2", "C3") and labels.counts == (3, 2, 1) and labels.images == 5
    assert [c.name for c in labels.concepts] == ["CT", "Chest", ""] and labels.concepts[0].manual
    assert labels_of(SOURCE, 2).cuis == ("C1", "C2")


def test_those_without_a_name_are_counted(caplog):
    labels_of(SOURCE, 1)
    assert "1 of 3 concepts have no name in the data (first: C3)" in caplog.text


def test_only_those_that_a_person_assigned():
    manual = OnlyManual(SOURCE)
    assert labels_of(manual, 1).cuis == ("C1", "C2", "C9") and manual.fingerprint() == "x"


def test_what_is_kept_is_what_is_read(tmp_path):
    labels = labels_of(Listed((Concept("C1", "=1+1", True), Concept("C2", 'a "b", c'))), 1)
    write_labels(tmp_path / "concepts.csv", labels)
    assert read_labels(tmp_path / "concepts.csv") == labels
    (tmp_path / "concepts.csv").write_text("cui,name\nC1,x\n")
    with pytest.raises(UserError, match="holds no labels"):
        read_labels(tmp_path / "concepts.csv")


def test_a_threshold_needs_a_valid_split_with_concepts():
    require_judged(SOURCE, "global")
    require_judged(Listed((), ()), 0.5)
    with pytest.raises(UserError, match=r"concepts.threshold=per_class is chosen on valid.*\n.*threshold=0.5"):
        require_judged(Listed((), ()), "per_class")


def test_what_cannot_be_learnt_is_said():
    with pytest.raises(UserError, match="None of the 2 training images has a concept"):
        labels_of(Listed((), ()), 1)
    with pytest.raises(UserError, match=r"min_count=4: the most frequent of 3 concepts stands at 3 training images"):
        labels_of(SOURCE, 4)
