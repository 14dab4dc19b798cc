from rococap.evaluation.split_scores import score_predictions, signatures
from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.signature import difference, fingerprint, signature
from rococap.types import Prediction

IDS, REFERENCES = ["a", "b"], [["one"], ["two", "zwei"]]


def test_a_signature_says_how_a_score_was_computed():
    data = fingerprint(IDS, REFERENCES)
    base = "n:2|refs:1-2|split:test|case:lc|punct:no|tok:ptb|"
    assert signature(Bleu(), "test", IDS, REFERENCES) == f"{base}pycocoevalcap:1.2|rococap:1|data:{data}"
    assert signature(Cider(), "test", IDS, REFERENCES) == f"{base}idf:2|pycocoevalcap:1.2|rococap:1|data:{data}"


def test_a_signature_says_how_many_patients_or_articles_were_resampled():
    assert "|split:test|group:1|case:lc|" in signature(Bleu(), "test", IDS, REFERENCES, groups=1)
    two = [Prediction(name, "a", ("b",), group="p") for name in IDS] + [Prediction("c", "a", ("b",))]
    assert "|group:2|" in signatures({"bleu": Bleu()}, two, "test")["bleu"]
    assert "group" not in signatures({"bleu": Bleu()}, two[1:], "test")["bleu"]
    rows = {row.metric: row for row in score_predictions({"bleu": Bleu()}, two[:2], "test").rows()}
    assert rows["bleu_1"].ci_low is None  # of a single patient


def test_data_changes_with_ids_and_references():
    others = [
        (["a", "c"], REFERENCES),
        (IDS, [["one"], ["two"]]),
        (IDS, [["one", "two"], ["zwei"]]),
        (IDS, REFERENCES[::-1]),
    ]
    assert len({fingerprint(IDS, REFERENCES), *(fingerprint(*other) for other in others)}) == 5


def test_and_with_nothing_that_changes_no_score():
    same = [
        (IDS[::-1], REFERENCES[::-1]),
        ([f"{name}.jpg" for name in IDS], REFERENCES),
        (IDS, [[f"{text} \n" for text in texts[::-1]] for texts in REFERENCES]),
    ]
    assert {fingerprint(*each) for each in same} == {fingerprint(IDS, REFERENCES)}
    assert difference(["transformers:5.23.1", "transformers:5.23.4.dev0"]) == ""
    assert difference(["transformers:5.23.1", "transformers:5.24.1"]) == "transformers: 5.23, 5.24"


def test_differences_are_named():
    whole, part = (signature(Cider(), "test", IDS[:n], REFERENCES[:n]) for n in (2, 1))
    assert difference([whole, whole]) == ""
    assert difference([whole, part]).startswith("n: 2, 1; refs: 1-2, 1; idf: 2, 1; data: ")
    assert difference(["n:1|idf:1", "n:1"]) == "idf: 1, none"
