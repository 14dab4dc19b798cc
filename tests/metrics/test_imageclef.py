import json
import random
from pathlib import Path

import numpy as np
import pytest

from rococap.metrics import blind
from rococap.metrics.imageclef import IMAGECLEF, normalise
from rococap.metrics.measure import measure
from rococap.metrics.rouge_1 import Rouge1
from rococap.metrics.text import clean

STORED = json.loads(Path(__file__).with_name("imageclef.json").read_text())
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="needs the extra imageclef")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CT, T2-weighted; 3.5 cm", "ct tnumberweighted numbernumber cm"),
        ("Fig. 12a (arrow)", "fig numbera arrow"),
        ("“curly” – dashes stay", "“curly” – dashes stay"),  # noqa: RUF001
        ("١٢ İ", "number i̇"),
        ("", ""),
    ],
)
def test_lower_case_then_digits_then_punctuation(text, expected):
    assert normalise(text) == expected


def test_rouge_1_is_rouge_scores_without_stemmer():
    draw = random.Random(0)
    words = ["nodules", "nodule", "CT", "3", "12.5", "ünïcode", "(arrow)", "left", "the", "The", "漢字", ","]

    def text():
        return " ".join(draw.choices(words, k=draw.randint(0, 8)))

    lines = clean([text() for _ in range(300)], [[text() for _ in range(draw.randint(1, 3))] for _ in range(300)])
    texts, orders = IMAGECLEF(lines), blind.orders(300)[:2]
    scorer = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=False)
    found = Rouge1().statistics(texts, orders)
    for o, i in np.ndindex(orders.shape):
        caption, references = texts.predictions[orders[o, i]], texts.references[i]
        expected = max(1 if caption == r == "" else scorer.score(r, caption)["rouge1"].fmeasure for r in references)
        assert found[o, i, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("edition", STORED["rouge_1"])
def test_it_is_that_of_the_official_code(edition):
    """Their own, on texts of every kind; see make_imageclef.py."""
    captions, references = zip(*STORED["pairs"], strict=True)
    found = measure(
        {"x": Rouge1(int(edition))}, captions, [[text] for text in references], np.arange(len(captions))[None]
    )
    np.testing.assert_allclose(found["x"][0, :, 0], STORED["rouge_1"][edition], rtol=0, atol=1e-11)


@pytest.mark.parametrize(("edition", "scores"), [(2023, [1, 1, 1, 0, 0]), (2026, [1, 0, 0, 0, 0])])
def test_two_empty_texts_agree(edition, scores):
    found = Rouge1(edition)(["", "...", "...", "a", "漢"], [[""], [""], ["-"], [""], ["漢"]])
    assert found.per_sample["rouge_1"].tolist() == scores


def test_it_has_statistics_for_blind_scores():
    measured = measure({"rouge_1": Rouge1()}, ["a b", "c"], [["a"], ["c"]], blind.orders(2))["rouge_1"]
    assert measured.shape == (21, 2, 2)
    assert Rouge1().combine(measured[0].sum(axis=0))[0] == pytest.approx((2 / 3 + 1) / 2)
