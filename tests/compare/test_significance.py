"""Simulated systems: who is the same is not told apart, who differs is."""

import numpy as np
import pytest
from scipy import stats

from rococap.compare.significance import LEVEL, p_values, pooled_variance
from rococap.metrics.bootstrap import bootstrap
from rococap.metrics.facts import Facts


def simulated(draw, means, seeds, of_seed=0.02, of_image=0.25, images=300):
    """Scores `[runs]` and draws `[resamples, runs]` of settings: image noise shared by all, and seeds' own."""
    weights = draw.multinomial(images, np.full(images, 1 / images), size=200) / images
    easy = of_image * draw.standard_normal(images)
    scores, draws = [], []
    for mean, count in zip(means, seeds, strict=True):
        each = (
            mean + of_seed * draw.standard_normal(count)[:, None] + easy + 0.05 * draw.standard_normal((count, images))
        )
        scores.append(each.mean(axis=1))
        draws.append(weights @ each.T)
    return scores, draws


@pytest.mark.parametrize("seeds", [(3, 3, 3, 3), (2, 4, 1, 3)])
def test_equal_settings_are_rarely_told_apart(seeds):
    draw = np.random.default_rng(0)
    wrong = sum((p_values(*simulated(draw, [0.5] * 4, seeds)) < LEVEL).any() for _ in range(400))
    assert wrong / 400 < 0.09  # the best of several is chosen by luck, which Holm's correction does not know of


def test_a_difference_beyond_seeds_and_images_is_found():
    draw = np.random.default_rng(0)
    found = [p_values(*simulated(draw, [0.5, 0.4, 0.497], [3, 3, 3])) < LEVEL for _ in range(100)]
    assert np.mean(found, axis=0)[1] > 0.9 and np.mean(found, axis=0)[2] < 0.1


def test_luck_with_seeds_is_no_difference():
    """Two seeds each, far apart: images alone would call their means different."""
    draw = np.random.default_rng(0)
    apart = [p_values(*simulated(draw, [0.5, 0.5], [2, 2], of_seed=0.1))[1] for _ in range(200)]
    assert np.mean(np.array(apart) < LEVEL) < 0.09


def test_lone_runs_are_told_apart_as_by_the_paired_tests_of_two_systems():
    draw = np.random.default_rng(0)
    metric = Facts()
    for better in (0.0, 0.03, 0.08):
        easy = draw.uniform(0.2, 0.7, 400)
        counts = [draw.binomial(5, easy + extra) for extra in (0, better)]
        both = np.stack([np.stack([right, np.full(400, 5)], axis=1) for right in counts]).astype(float)
        draws = bootstrap(metric, both)[..., 0]
        scores = [metric.combine(each.sum(axis=0)) for each in both]
        p = p_values(scores, [draws[:, :1], draws[:, 1:]]).min()
        shares = both[..., 0] / 5  # the score is their mean: approximate randomization swaps them image by image
        known = stats.permutation_test(
            tuple(shares), lambda a, b: np.mean(b - a), permutation_type="samples", n_resamples=2000, random_state=draw
        )
        assert p == pytest.approx(known.pvalue, abs=0.04)


def test_the_same_captions_are_no_difference():
    score, draws = np.array([0.5]), np.random.default_rng(0).normal(0.5, 0.1, (100, 1))
    assert p_values([score, score], [draws, draws]).tolist() == [1, 1]


def test_variance_is_pooled_within_settings():
    assert pooled_variance([np.array([1.0, 3.0]), np.array([10.0, 10.0, 10.0]), np.array([7.0])]) == (2 / 3, 3)
    assert pooled_variance([np.array([1.0]), np.array([3.0])]) == (0.0, 0)
