import numpy as np
import pytest

from rococap.metrics import blind
from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.measure import measure, score
from rococap.metrics.meteor import Meteor
from rococap.metrics.rouge_l import RougeL

METRICS = {"bleu": Bleu(), "rouge_l": RougeL(), "cider": Cider()}
PREDICTIONS = ["a chest x-ray of a man", "axial ct of the head", "mri of the left knee", "ultrasound of the liver"]
REFERENCES = [["chest x-ray"], ["ct of the head", "a head ct"], ["mri of a knee"], ["liver ultrasound", "the liver"]]


@pytest.mark.parametrize("images", [2, 3, 37, 500])
def test_no_caption_stays_with_its_image(images):
    true, *wrong = blind.orders(images)
    assert true.tolist() == list(range(images))
    assert len(wrong) == 20
    for order in wrong:
        assert sorted(order) == list(range(images))
        assert (order != true).all()
    np.testing.assert_array_equal(blind.orders(images)[1:], wrong)


def test_a_lone_image_has_no_blind_score():
    assert blind.orders(1).tolist() == [[0]]
    assert list(blind.split(np.zeros((1, 1)))) == [""]


def test_blind_scores_are_the_mean_of_scoring_permuted_captions():
    orders = blind.orders(len(PREDICTIONS))
    measured = measure(METRICS, PREDICTIONS, REFERENCES, orders)
    permuted = [score(METRICS, [PREDICTIONS[i] for i in order], REFERENCES).corpus for order in orders]
    for key, statistics in measured.items():
        found = blind.split(METRICS[key].combine(statistics.sum(axis=1)))
        for column, name in enumerate(METRICS[key].names):
            expected = np.mean([scores[name] for scores in permuted[1:]])
            assert found[""][column] == pytest.approx(permuted[0][name], abs=1e-12)
            assert found["_blind"][column] == pytest.approx(expected, abs=1e-12)
            assert found["_gain"][column] == pytest.approx(permuted[0][name] - expected, abs=1e-12)


def test_meteor_scores_all_orders_in_one_process():
    orders = blind.orders(len(PREDICTIONS))[:2]
    measured = measure({"meteor": Meteor()}, PREDICTIONS, REFERENCES, orders)["meteor"]
    permuted = Meteor()([PREDICTIONS[i] for i in orders[1]], REFERENCES)
    np.testing.assert_allclose(Meteor().combine(measured)[1, :, 0], permuted.per_sample["meteor"], atol=1e-12)
    assert (Meteor().combine(measured)[0, :, 0] > permuted.per_sample["meteor"]).all()
