import dataclasses
import random

import numpy as np
import pytest

from rococap.evaluation.split_scores import _composite_rows, score_predictions
from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.concept_f1 import ConceptDictionaryF1
from rococap.metrics.measure import score
from rococap.metrics.rouge_l import RougeL
from rococap.runs.results import Row
from rococap.types import Concept, Prediction, UserError

METRICS = {"rouge_l": RougeL(), "bleu": Bleu(), "cider": Cider()}
PREDICTIONS = [
    Prediction("1", "chest x-ray of a man", ("x-ray of the chest",)),
    Prediction("2", "axial ct of the head", ("ct of the head", "a head ct")),
    Prediction("3", "mri of the left knee", ("mri of a knee",)),
]


CT, MRI = Concept("C0040405", "X-Ray Computed Tomography", True), Concept("C0024485", "MRI", True)
MANY = [
    dataclasses.replace(PREDICTIONS[1 + (i % 3 == 0)], id=f"x{i}", concepts=(MRI if i % 3 == 0 else CT,))
    for i in range(57)
]


def fields(row):
    """A signature as names and values."""
    return dict(field.partition(":")[::2] for field in row.signature.split("|"))


def test_rows_hold_score_blind_score_and_gain_with_intervals():
    rows = score_predictions(METRICS, PREDICTIONS, "test").rows()
    values = {row.metric: row.value for row in rows}
    assert len(rows) == 3 * 6
    for name in ("bleu_1", "bleu_4", "rouge_l", "cider"):
        assert values[f"{name}_gain"] == pytest.approx(values[name] - values[f"{name}_blind"])
    for row in rows:
        assert (row.split, row.system, row.slice, row.n) == ("test", "model", "all", 3)
        assert row.ci_low is None or row.ci_low <= row.ci_high
        assert row.signature.startswith("n:3|refs:1-2|split:test|")


def test_one_caption_for_every_image_gains_nothing():
    same = [dataclasses.replace(prediction, prediction="x-ray of the head") for prediction in MANY]
    rows = {row.metric: row for row in score_predictions(METRICS, same, "test").rows()}
    gains = [row for name, row in rows.items() if name.endswith("_gain")]
    assert all(row.value == pytest.approx(0, abs=1e-12) for row in gains)
    told = [row for row in gains if rows[row.metric.removesuffix("_gain")].ci_low is not None]
    assert told and all((row.ci_low, row.ci_high) == pytest.approx((0, 0), abs=1e-12) for row in told)


def test_what_imageclef_ranks_by_is_the_mean_of_its_parts_or_says_what_it_lacks(caplog):
    signed = Row("test", "model", "all", "medcat", 0.4, 0.1, 0.6, 9, "n:9")
    rows = [signed, dataclasses.replace(signed, metric="alignscore", value=0.2)]
    blind = [dataclasses.replace(row, metric=f"{row.metric}_blind", value=row.value / 2) for row in rows]
    found = {row.metric: row for row in _composite_rows([*rows, *blind])}
    assert {name: row.value for name, row in found.items()} == pytest.approx(
        {"imageclef_factuality": 0.3, "imageclef_factuality_blind": 0.15}
    )
    assert all(row.ci_low is None for row in found.values())
    with caplog.at_level("INFO"):
        assert not list(_composite_rows([dataclasses.replace(signed, metric="rouge_1")]))
    assert "imageclef_relevance is not given" in caplog.text and "there is no bertscore_f1, similarity" in caplog.text


def test_a_score_that_a_few_captions_would_change_has_no_interval():
    draw = random.Random(0)
    words = [f"w{number}" for number in range(300)]
    texts = [" ".join(draw.choices(words, k=12)) for _ in range(120)]
    looks = [text if number % 3 else texts[number - 1] for number, text in enumerate(texts)]
    for said, told in ((texts[1:] + texts[:1], False), (looks, True)):
        predictions = [
            Prediction(str(n), *each) for n, each in enumerate(zip(said, [(t,) for t in texts], strict=True))
        ]
        rows = {row.metric: row for row in score_predictions(METRICS, predictions, "test").rows()}
        for name in ("bleu_4", "bleu_4_gain", "cider", "cider_gain"):
            assert (rows[name].ci_low is not None) == (rows[name].ci_high is not None) == told, name


def test_a_lone_image_gets_neither_interval_nor_blind_score():
    rows = score_predictions({"rouge_l": RougeL()}, PREDICTIONS[:1], "test").rows()
    assert [(row.metric, row.ci_low, row.ci_high) for row in rows] == [("rouge_l", None, None)]


def test_blind_scores_can_be_left_out():
    rows = score_predictions({"rouge_l": RougeL()}, PREDICTIONS, "test", with_blind=False).rows()
    assert [row.metric for row in rows] == ["rouge_l"]
    assert rows[0].ci_low < rows[0].value < rows[0].ci_high


@pytest.mark.parametrize(
    ("references", "said"),
    [([(), (), ()], "Nothing to score: none of the 3"), ([("x",), (), (" ",)], "2 of 3 predictions .*: 2, 3")],
)
def test_captions_without_references_are_refused(references, said):
    bare = [dataclasses.replace(p, references=r) for p, r in zip(PREDICTIONS, references, strict=True)]
    with pytest.raises(UserError, match=said):
        score_predictions(METRICS, bare, "test")


def test_each_image_has_the_scores_that_it_has_alone():
    scores = score_predictions(METRICS, PREDICTIONS, "test").per_sample()
    assert list(scores) == ["rouge_l", "bleu_1", "bleu_2", "bleu_3", "bleu_4", "cider"]
    for index, prediction in enumerate(PREDICTIONS):
        alone = score({"rouge_l": RougeL(), "bleu": Bleu()}, [prediction.prediction], [prediction.references]).corpus
        assert {name: scores[name][index] for name in alone} == pytest.approx(alone, abs=1e-12)


def test_parts_have_rows_of_their_own_that_say_of_what_they_are_a_part():
    scored = score_predictions(METRICS, MANY, "test")
    rows = scored.slice_rows()
    assert {row.slice for row in rows} == {"modality=CT"}  # 38 images; 19 of MRI are too few
    assert [row.metric for row in rows] == [row.metric for row in scored.rows() if not row.metric.endswith(("d", "n"))]
    images = scored.per_sample()
    for row in rows:
        assert (row.n, fields(row)["n"]) == (38, "38")
        if row.metric in ("cider", "rouge_l"):  # means over images, CIDEr's with the whole split's frequencies
            assert row.value == pytest.approx(np.mean([images[row.metric][i] for i in range(57) if i % 3]))
    assert {fields(row).get("idf") for row in rows if row.metric == "cider"} == {"57"}


def test_scores_of_concepts_are_signed_with_the_concepts():
    metric = {"concepts": ConceptDictionaryF1()}
    others = [dataclasses.replace(p, concepts=(MRI,)) for p in MANY]
    [row], [other] = (score_predictions(metric, each, "test", with_blind=False).rows() for each in (MANY, others))
    assert row.value == pytest.approx(2 * 19 / (19 + 57)) and fields(row)["dictionary"] == "57"
    assert fields(row)["data"] != fields(other)["data"]


def test_an_image_without_a_number_is_named(monkeypatch):
    monkeypatch.setattr(RougeL, "combine", lambda self, sums: np.where(sums[..., :1] > 0.99, np.nan, sums[..., :1]))
    perfect = [dataclasses.replace(PREDICTIONS[0], id="best", prediction=PREDICTIONS[0].references[0])]
    with pytest.raises(UserError, match="rouge_l gives 1 of 3 predictions of test no number: best"):
        score_predictions({"rouge_l": RougeL()}, [*PREDICTIONS[1:], *perfect], "test", with_blind=False)
