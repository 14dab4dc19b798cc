"""Sets of concepts: ImageCLEF's two scores as its evaluator computes them, and those that show rare concepts."""

import random

import numpy as np
import pytest

from rococap.metrics.concept_guards import ConceptWatch, below_others
from rococap.metrics.concepts import MANUAL, Concepts
from rococap.metrics.measure import measure, score
from rococap.metrics.signature import difference, signature
from rococap.types import Concept

METRIC = {"concepts": Concepts()}
CT, XRAY, CHEST = "C0040405", "C1306645", "C0817096"


def scored(said, gold, manual=None):
    """Scores of texts; `gold` and `manual` are texts as in ROCOv2's tables."""
    return score(METRIC, said, [()] * len(said), known(gold, manual or [""] * len(gold))).corpus


def known(gold, manual):
    """The images' concepts; what only the list of manual ones names is not `listed`."""
    images = []
    for text, by_hand in zip(gold, manual, strict=True):
        of_image, chosen = ([code.strip() for code in each.split(";") if code] for each in (text, by_hand))
        only = [code for code in chosen if code not in of_image]
        images.append([Concept(c, "", c in chosen) for c in of_image] + [Concept(c, "", True, False) for c in only])
    return images


def evaluator(said, gold, allowed=None):
    """What ImageCLEF's evaluator computes, from its rules: the F1 of sets of upper-case codes, where an empty field is
    one empty code; with `allowed` codes, images whose gold is empty without the others are left out."""
    values = []
    for one, other in zip(said, gold, strict=True):
        p, g = ({code.strip().upper() for code in text.split(";")} for text in (one, other))
        if allowed:
            p, g = p & allowed, g & allowed
        if g:
            values.append(2 * len(p & g) / (len(p) + len(g)))
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("said", "gold", "f1"),
    [
        ("C1;C2", "C2;C1", 1),
        ("C1;C2", "C2;C3", 1 / 2),
        ("c1; C2 ;c2", " c2;C1", 1),  # case, blanks and repeats are of no account
        ("", "", 1),
        ("C1", "", 0),
        ("", "C1", 0),
        ("C1;", "C1", 2 / 3),  # an empty code is one more
    ],
)
def test_an_images_f1(said, gold, f1):
    assert scored([said, "C9"], [gold, "C9"])["concept_f1"] == pytest.approx((f1 + 1) / 2)


def test_both_scores_are_the_evaluators_on_any_files():
    draw = random.Random(0)
    codes = [*sorted(MANUAL)[:5], *(f"C{number:07}" for number in range(8))]

    def listed(most):
        names = [draw.choice(codes) for _ in range(draw.randint(0, most))]
        return ";".join(
            draw.choice(["", " "]) + draw.choice([name, name.lower()]) + draw.choice(["", " "]) for name in names
        )

    for _ in range(20):
        said, gold = [listed(5) for _ in range(30)], [listed(5) for _ in range(30)]
        manual = [";".join(code for code in codes if draw.random() < 0.15) for _ in range(30)]
        found = scored(said, gold, manual)
        assert found["concept_f1"] == pytest.approx(evaluator(said, gold), abs=1e-12)
        assert found["concept_f1_manual"] == pytest.approx(evaluator(said, manual, MANUAL), abs=1e-12)


def test_scores_over_concepts_and_pairs():
    said, gold = ["C1;C2", "C1", "C3", ""], ["C1", "C1;C2", "C2", ""]
    found = scored(said, gold)
    of_each = {"C1": 2 * 2 / (2 + 2), "C2": 0.0}  # C3 is of no image
    assert found["concept_f1_macro"] == found["concept_f1_1_10"] == pytest.approx(sum(of_each.values()) / 2)
    assert found["concept_f1_micro"] == pytest.approx(2 * 2 / (4 + 4))
    assert found["concept_f1_empty"] == 1
    assert not {"concept_f1_manual", "concept_f1_11_100", "concept_f1_over_1000"} & found.keys()


def test_rare_concepts_have_a_score_of_their_own():
    gold = ["C1"] * 40 + ["C1;C2"] * 4
    found = scored(["C1"] * 44, gold)
    assert found["concept_f1_11_100"] == 1 and found["concept_f1_1_10"] == 0
    assert found["concept_f1"] > 0.96  # it hardly shows there


def test_the_parts_of_a_score_add_up_in_every_order_and_follow_a_resample():
    draw = np.random.default_rng(0)
    likely = 0.5 / np.arange(1, 9)
    gold = draw.random((300, 8)) < likely
    said = np.where(draw.random(gold.shape) < 0.8, gold, draw.random(gold.shape) < 0.1)
    texts, images = ([";".join(f"C{c}" for c in np.flatnonzero(row)) for row in rows] for rows in (said, gold))
    orders = np.stack([np.arange(300), draw.permutation(300)])
    found = measure(METRIC, texts, [()] * 300, orders, known(images, [""] * 300))["concepts"]
    macro = Concepts.names.index("concept_f1_macro")
    for order, statistics in zip(orders, found, strict=True):
        p, g = said[order], gold
        expected = np.mean(2 * (p & g).sum(axis=0) / (p.sum(axis=0) + g.sum(axis=0)))
        assert Concepts().combine(statistics.sum(axis=0))[macro] == pytest.approx(expected)
    linear, exact = [], []
    for _ in range(300):
        drawn = draw.integers(300, size=300)
        linear.append(Concepts().combine(found[0][drawn].sum(axis=0))[macro])
        p, g = said[drawn], gold[drawn]
        exact.append(np.mean(2 * (p & g).sum(axis=0) / (p.sum(axis=0) + g.sum(axis=0))))
    assert np.std(linear) == pytest.approx(np.std(exact), rel=0.15) and np.corrcoef(linear, exact)[0, 1] > 0.95


def test_how_texts_were_made_is_named_and_keeps_no_scores_apart():
    one, other = (signature(Concepts(), "test", ["a"], [("C1",)], system=[f"threshold:{t}"]) for t in (0.3, 0.4))
    assert one.endswith("|threshold:0.3") and difference([one, other]) == ""
    assert difference([one, signature(Concepts(), "test", ["a"], [("C2",)])]).startswith("data: ")


def guards(said, gold, labels=("C1", "C2")):
    found = ConceptWatch(frozenset(labels))(said, [()] * len(said), known(gold, [""] * len(gold)))
    return {guard.name: guard for guard in found}


def test_guards_warn_of_what_scores_hide():
    fine = guards(["C1", "C2", "C1;C2", "C1"], ["C1", "C2", "C1;C2", "C2"])
    assert not any(guard.warning for guard in fine.values())
    assert "get the same concepts" in guards(["C1"] * 4, ["C1", "C2", "C1;C2", ""])["common_set"].warning
    assert "nothing is predicted for 50%" in guards(["", "", "C1", "C2"], ["C1"] * 4)["empty_share"].warning
    assert "4.00 times as many" in guards(["C1;C2;C3;C4"], ["C1"])["set_ratio"].warning
    unknown = guards(["C1", "C1"], ["C1;C7", "C1;C8;C9"])["unknown_share"]
    assert unknown.value == 3 / 5 and unknown.warning.startswith("3 concepts of 2 images are no labels")
    assert guards(["", "C1"], ["", ""]).keys() == {"empty_share", "common_set"}


def test_a_head_that_is_worse_than_neighbours_does_not_go_unnoticed():
    assert "the head reads less" in below_others(0.66, {"those of the nearest": 0.68, "constant": 0.4}).warning
    assert below_others(0.9, {"those of the nearest": 0.68}).warning == ""
