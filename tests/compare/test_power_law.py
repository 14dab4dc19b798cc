"""Simulated growth whose law is known: it is recovered, and the band holds it as often as it says."""

import numpy as np
import pytest

from rococap.compare.power_law import Curve, Points, fit, forecast
from rococap.types import UserError

LAW = Curve(np.array(0.5), np.array(0.1), np.array(0.35))
FRACTIONS = (0.01, 0.03, 0.1, 0.3)


def simulated(draw, fractions=FRACTIONS, seeds=2, subsets=1, of_seed=0.01, of_subset=0.0, rest=0.0):
    """Runs of every seed with every subset; images move all runs by 0.006, and each by 0.003 more."""
    x, s, t = (axis.ravel() for axis in np.meshgrid(fractions, range(seeds), range(subsets), indexing="ij"))
    place = np.searchsorted(fractions, x)
    own = of_seed * draw.standard_normal((len(fractions), seeds))[place, s]
    parts = np.minimum(np.array(fractions), 0.999)
    steps = np.sqrt(np.diff(parts / (1 - parts), prepend=0))[:, None]
    walks = np.cumsum(steps * draw.standard_normal((len(parts), subsets)), axis=0)
    own += of_subset * (walks / np.sqrt(parts / (1 - parts))[:, None])[place, t]  # of nested subsets
    scores = LAW(x) + 0.006 * draw.standard_normal() + own + np.hypot(rest, 0.003) * draw.standard_normal(len(x))
    moves = 0.006 * draw.standard_normal((200, 1)) + 0.003 * draw.standard_normal((200, len(x)))
    return Points(x, scores, s.tolist(), t.tolist(), scores + moves)


@pytest.mark.parametrize(("a", "b", "c"), [(0.5, 0.1, 0.35), (1.2, 0.02, 0.9), (0.3, 0.25, 0.08), (0.4, 0.0, 1.0)])
def test_a_law_without_noise_is_recovered(a, b, c):
    x = np.array([0.01, 0.03, 0.1, 0.3, 1.0])
    law = Curve(np.array(a), np.array(b), np.array(c))
    found = fit(x, law(x))
    assert found(x) == pytest.approx(law(x), abs=2e-3 * float(np.ptp(law(x))) + 1e-12)
    if b:
        assert (float(found.a), float(found.b), float(found.c)) == pytest.approx((a, b, c), rel=0.05)


def test_many_fits_at_once_are_those_of_each():
    x = np.array([0.01, 0.03, 0.1, 0.3])
    scores = LAW(x) + 0.01 * np.random.default_rng(0).standard_normal((5, 4))
    many = fit(x, scores)
    for row in range(5):
        one = fit(x, scores[row])
        assert [many.a[row], many.b[row], many.c[row]] == pytest.approx([float(one.a), float(one.b), float(one.c)])


@pytest.mark.parametrize(
    "design",
    [
        {"seeds": 3},
        {"seeds": 2, "subsets": 2, "of_seed": 0.007, "of_subset": 0.007, "rest": 0.004},
        {"seeds": 1, "subsets": 3, "of_seed": 0.0, "of_subset": 0.01},
        {"fractions": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)},
        {"seeds": 1},
        {"seeds": 1, "fractions": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5), "of_seed": 0.02},
    ],
    ids=["seeds", "seeds and subsets", "subsets", "measured up to the whole", "one seed", "one seed, six fractions"],
)
def test_the_band_holds_the_truth_as_often_as_it_says(design):
    draw = np.random.default_rng(0)
    whole, share = [], []
    for _ in range(100):
        found = forecast(simulated(draw, **design))
        _, low, high = found.whole
        whole.append(low <= LAW.a - LAW.b <= high)
        truth = LAW(found.fractions)
        share.append(((found.low <= truth) & (truth <= found.high)).mean())
    assert 0.9 <= np.mean(whole) <= 1 and 0.9 <= np.mean(share) <= 1


def test_each_source_of_chance_widens_the_band():
    def width(**design):
        draw = np.random.default_rng(0)
        ends = [forecast(simulated(draw, **design)).whole for _ in range(20)]
        return np.median([high - low for _, low, high in ends])

    quiet = width(seeds=2, subsets=2, of_seed=0.0)
    assert width(seeds=2, subsets=2, of_seed=0.02) > 2 * quiet
    assert width(seeds=2, subsets=2, of_seed=0.0, of_subset=0.02) > 2 * quiet


def test_the_sources_of_chance_are_named():
    draw = np.random.default_rng(0)
    assert forecast(simulated(draw, seeds=1)).sources == ("test images", "what the runs miss the curve by")
    assert forecast(simulated(draw, seeds=2)).sources == ("test images", "seeds")
    assert forecast(simulated(draw, seeds=1, subsets=2)).sources == ("test images", "subsets")
    assert forecast(simulated(draw, seeds=2, subsets=2)).sources == ("test images", "seeds", "subsets")


def test_three_fractions_are_refused():
    with pytest.raises(UserError, match=r"needs 4 values of data\.fraction, and there are 3"):
        forecast(simulated(np.random.default_rng(0), fractions=(0.1, 0.3, 1.0)))


def test_scores_that_follow_no_such_law_are_said_not_to():
    draw = np.random.default_rng(0)
    points = simulated(draw, fractions=(0.01, 0.03, 0.1, 0.3, 1.0), seeds=3)
    assert forecast(points).p_fits > 0.01
    dip = np.where(points.fractions == 0.1, 0.2, 0.0)
    missed = forecast(
        Points(points.fractions, points.scores - dip, points.seeds, points.subset_seeds, points.draws - dip)
    )
    assert missed.p_fits < 1e-3
    assert np.abs(missed.residuals[points.fractions == 0.1]).min() > 0.05
    assert forecast(simulated(draw, seeds=1)).p_fits is None
