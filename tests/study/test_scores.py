"""Preferences, ratings and agreement: known results, and how often the intervals hold."""

import numpy as np
import pytest

from rococap.study import scores
from rococap.study.agreement import alpha, coincidences
from rococap.study.key import Caption, Entry, Key
from rococap.study.returned import Answers
from rococap.study.scores import score
from rococap.study.size import images_needed

N = np.nan
# Krippendorff (2011), section D: four observers, twelve units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]


def test_alpha_is_the_published_one():
    found = coincidences(np.array(OBSERVERS), 5)
    assert found.sum() == 40  # pairable values
    assert alpha(found.sum(axis=0)) == pytest.approx(0.815, abs=5e-4)


def test_alpha_of_full_agreement_of_none_and_of_one_value():
    same = np.array([[1.0, 3, 5, 2], [1, 3, 5, 2]])
    assert alpha(coincidences(same, 5).sum(axis=0)) == 1
    assert np.isnan(alpha(coincidences(np.full((2, 4), 3.0), 5).sum(axis=0)))
    chance = np.random.default_rng(0).integers(1, 6, size=(2, 20_000)).astype(float)
    assert abs(alpha(coincidences(chance, 5).sum(axis=0))) < 0.03


def study(sizes):
    """A study of two systems, of groups with so many images."""
    groups = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    captions = (Caption("a", ("one",)), Caption("b", ("two",)))
    return Key(("one", "two"), "salt", tuple(Entry(str(n), group, captions) for n, group in enumerate(groups)))


def answers(reader, one, two, **scales):
    """Of one reader, places `[images]` of both systems, and ratings of 3 unless they are given."""
    place = np.stack([one, two], axis=1).ravel().astype(float)
    return Answers(
        reader, {"place": place, **{s: scales.get(s, np.full(len(place), 3.0)) for s in ("correct", "complete")}}
    )


def test_counts_shares_and_ratings():
    key = study([1] * 4)
    ann = answers("Ann", np.array([1, 1, 1, 2]), np.array([2, 1, 2, 1]), correct=np.array([5.0, 1, 4, 1, 5, 1, 2, 1]))
    bo = answers("Bo", np.array([1, 1, 1, 2]), np.array([2, 2, 2, 1]))
    outcome = score(key, [ann, bo])
    (pair,) = outcome.preferences
    assert (pair.first, pair.second, pair.wins, pair.ties, pair.losses) == ("one", "two", 5, 1, 2)
    assert pair.share.value == 5.5 / 8
    assert outcome.ratings["correct"]["one"].value == 3.5 and outcome.ratings["correct"]["two"].value == 2
    assert set(outcome.agreement) == {"place", "correct", "complete"} and np.isnan(outcome.agreement["complete"].value)
    assert score(key, [ann]).agreement == {}


def test_who_always_wins_is_not_certain_to():
    """Clopper and Pearson: 10 of 10 leave 0.6915 (0.025 to the power of a tenth)."""
    key = study([1] * 10)
    (pair,) = score(key, [answers("Ann", np.ones(10), np.full(10, 2))]).preferences
    assert (pair.share.value, pair.share.high) == (1, 1) and pair.share.low == pytest.approx(0.6915, abs=1e-4)
    assert pair.differs


def test_intervals_of_several_pairs_hold_together():
    """With three systems each leaves out a third of 5 %."""
    captions = tuple(Caption(letter, (letter,)) for letter in "abc")
    key = Key(("a", "b", "c"), "salt", tuple(Entry(str(n), "", captions) for n in range(10)))
    values = {scale: np.tile([1.0, 2, 3], 10) for scale in ("place", "correct", "complete")}
    lows = [pair.share.low for pair in score(key, [Answers("Ann", values)]).preferences]
    assert lows == pytest.approx([(0.025 / 3) ** 0.1] * 3)
    values["place"][:3] = [2, 1, 3]
    wider = score(key, [Answers("Ann", values)]).preferences[0].share
    (alone,) = score(study([1] * 10), [answers("Ann", values["place"][::3], values["place"][1::3])]).preferences
    assert wider.value == alone.share.value and wider.low < alone.share.low


def test_images_of_one_patient_are_one_draw():
    """Five patients with 20 images each, all alike, are no surer than five images."""
    wins = np.repeat([1, 1, 1, 2, 1], 20)
    (many,) = score(study([20] * 5), [answers("Ann", wins, 3 - wins)]).preferences
    (few,) = score(study([1] * 5), [answers("Ann", wins[::20], 3 - wins[::20])]).preferences
    (apart,) = score(study([1] * 100), [answers("Ann", wins, 3 - wins)]).preferences
    assert (many.share.low, many.share.high) == (few.share.low, few.share.high)
    assert apart.share.low > many.share.low
    (alone,) = score(study([5]), [answers("Ann", wins[:5], 3 - wins[:5])]).preferences
    assert (alone.share.low, alone.share.high) == (None, None)


def covered(truth, patients, studies):
    """Share of studies whose interval holds the truth; a patient's images and readers lean the same way."""
    draw, held = np.random.default_rng(0), 0
    for _ in range(studies):
        sizes = draw.integers(1, 3, size=patients)
        lean = np.repeat(draw.beta(4 * truth, 4 * (1 - truth), size=patients), sizes)
        readers = [1 + (draw.random(len(lean)) > lean) for _ in range(2)]
        given = [answers(str(number), each, 3 - each) for number, each in enumerate(readers)]
        share = score(study(sizes), given).preferences[0].share
        held += share.low <= truth <= share.high
    return held / studies


def test_intervals_hold(monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 500)
    assert covered(0.7, 40, 100) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("truth", "patients"), [(0.5, 20), (0.5, 80), (0.7, 40), (0.9, 40), (0.9, 80)])
def test_intervals_hold_in_many_studies(truth, patients, monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 1000)
    assert 0.91 <= covered(truth, patients, 1000) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("difference", [0.1, 0.15, 0.25])
def test_a_study_of_the_size_that_is_needed_sees_the_difference(difference, monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 1000)
    draw, images = np.random.default_rng(1), images_needed(difference, 2)
    told = {0.5: 0, 0.5 + difference: 0}
    for share in sorted(told) * 500:
        first = 1 + (draw.random(images) > share)
        told[share] += score(study([1] * images), [answers("Ann", first, 3 - first)]).preferences[0].differs
    assert told[0.5] <= 0.07 * 500 and 0.74 * 500 <= told[0.5 + difference] <= 0.86 * 500
