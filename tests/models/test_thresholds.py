import itertools

import numpy as np
import pytest

from rococap.models.thresholds import choose
from rococap.types import Concept, Labels, UserError, codes

CUIS = ("C1", "C2", "C3", "C4")
LABELS = Labels(tuple(map(Concept, CUIS)), (4, 3, 2, 1), 10)


def mean_f1(probabilities, gold, thresholds):
    """ImageCLEF's score of what is at least as probable as its threshold."""
    values = []
    for row, text in zip(probabilities, gold, strict=True):
        said = codes(";".join(c for c, p, t in zip(CUIS, row, thresholds, strict=True) if p >= t))
        true = codes(text)
        values.append(2 * len(said & true) / (len(said) + len(true)))
    return np.mean(values)


def drawn(seed, images=30):
    draw = np.random.default_rng(seed)
    has = draw.random((images, 4)) < (0.6, 0.4, 0.3, 0.2)
    noise = draw.random((images, 4))
    probabilities = np.clip(0.45 * has + 0.55 * noise, 0, 1).round(2).astype(np.float32)  # many are equal
    gold = [
        ";".join(c for c, there in zip((*CUIS, "C9"), (*row, draw.random() < 0.1), strict=True) if there) for row in has
    ]
    return probabilities, gold


@pytest.mark.parametrize("seed", range(8))
def test_no_other_threshold_for_all_is_better(seed):
    probabilities, gold = drawn(seed)
    chosen = choose(probabilities, gold, LABELS, per_class=False)
    assert len(set(chosen)) == 1
    cuts = [*np.unique(probabilities), 1.1]
    best = max(mean_f1(probabilities, gold, [cut] * 4) for cut in cuts)
    assert mean_f1(probabilities, gold, chosen) == pytest.approx(best)


def test_one_each_is_better_where_labels_differ_and_rare_ones_keep_that_of_all():
    probabilities, gold = drawn(0, images=60)
    probabilities[:, 1] *= 0.3  # this label is never sure
    one, each = (choose(probabilities, gold, LABELS, per_class=per_class) for per_class in (False, True))
    assert mean_f1(probabilities, gold, each) > mean_f1(probabilities, gold, one) + 0.01
    assert each[1] < 0.3
    best = max(
        mean_f1(probabilities, gold, cuts)
        for cuts in itertools.product(*(np.quantile(column, np.linspace(0, 1, 9)) for column in probabilities.T))
    )
    assert mean_f1(probabilities, gold, each) > best - 0.02
    few = [text if row < 3 else text.replace("C4", "C3") for row, text in enumerate(gold)]
    assert (
        choose(probabilities, few, LABELS, per_class=True)[3] == choose(probabilities, few, LABELS, per_class=False)[0]
    )


def test_where_nothing_should_be_said_nothing_is():
    probabilities = np.full((4, 4), 0.9, dtype=np.float32)
    chosen = choose(probabilities, ["", "", "", "C1"], LABELS, per_class=False)
    assert (probabilities < chosen).all()


@pytest.mark.parametrize("per_class", [False, True])
def test_without_a_concept_none_can_be_chosen(per_class):
    with pytest.raises(UserError, match=r"chosen on valid, and none of its 2 images has a concept.*\n.*threshold=0.5"):
        choose(np.zeros((2, 4), dtype=np.float32), ["", ""], LABELS, per_class=per_class)
