from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.signature import difference, fingerprint, signature

IDS, REFERENCES = ["a", "b"], [["one"], ["two", "zwei"]]


def test_a_signature_says_how_a_score_was_computed():
    data = fingerprint(IDS, REFERENCES)
    base = "n:2|refs:1-2|split:test|case:lc|punct:no|tok:ptb|"
    assert signature(Bleu(), "test", IDS, REFERENCES) == f"{base}pycocoevalcap:1.2|rococap:1|data:{data}"
    assert signature(Cider(), "test", IDS, REFERENCES) == f"{base}idf:2|pycocoevalcap:1.2|rococap:1|data:{data}"


def test_data_changes_with_ids_references_and_their_order():
    others = [
        (["a", "c"], REFERENCES),
        (IDS, [["one"], ["two"]]),
        (IDS, [["one", "two"], ["zwei"]]),
        (IDS[::-1], REFERENCES[::-1]),
    ]
    assert len({fingerprint(IDS, REFERENCES), *(fingerprint(*other) for other in others)}) == 5


def test_differences_are_named():
    whole, part = (signature(Cider(), "test", IDS[:n], REFERENCES[:n]) for n in (2, 1))
    assert difference([whole, whole]) == ""
    assert difference([whole, part]).startswith("n: 2, 1; refs: 1-2, 1; idf: 2, 1; data: ")
    assert difference(["n:1|idf:1", "n:1"]) == "idf: 1, none"
