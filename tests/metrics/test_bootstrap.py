import csv
import random

import numpy as np
import pytest
from commands import ROCO

from rococap.compare.significance import LEVEL, p_values
from rococap.metrics import blind
from rococap.metrics.base import with_counts
from rococap.metrics.bleu import Bleu
from rococap.metrics.bootstrap import bootstrap, by_group, interval, jump, steady
from rococap.metrics.cider import Cider
from rococap.metrics.concepts import Concepts
from rococap.metrics.measure import measure
from rococap.metrics.meteor import Meteor
from rococap.metrics.ptb import PTB
from rococap.metrics.rouge_1 import Rouge1
from rococap.metrics.rouge_l import RougeL
from rococap.metrics.text import Texts, clean

METRICS = {"bleu": Bleu(), "meteor": Meteor(), "rouge_l": RougeL(), "cider": Cider(), "rouge_1": Rouge1()}
WORDS = ["axial", "ct", "mri", "of", "the", "head", "chest", "knee", "showing", "a", "large", "mass", "arrow"]


def captions(draw, count):
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 9))) for _ in range(count)]


def bleu_statistics(draw, images, keep):
    """BLEU's statistics of captions that keep each word of their reference with a chance."""
    references = captions(draw, images)
    predictions = [" ".join(w for w in text.split() if draw.random() < keep) for text in references]
    return measure({"bleu": Bleu()}, predictions, [[text] for text in references], np.arange(images)[None])["bleu"][0]


def coverage(metric, population, images, sets):
    """Share of sets of images, drawn from a population, whose interval holds the population's score."""
    truth = metric.combine(population.sum(axis=0))
    draw = np.random.default_rng(1)
    hits = []
    for number in range(sets):
        sample = population[draw.integers(len(population), size=images)]
        low, high = interval(bootstrap(metric, sample, seed=number))
        hits.append((low <= truth) & (truth <= high))
    return np.mean(hits, axis=0)


def test_a_resample_scores_as_its_own_texts_would():
    draw = random.Random(0)
    predictions, references = captions(draw, 12), [[text] for text in captions(draw, 12)]
    statistics = measure({"bleu": Bleu()}, predictions, references, np.arange(12)[None])["bleu"][0]
    first = np.random.default_rng(0).integers(12, size=(100, 12))[0]
    expected = Bleu()([predictions[i] for i in first], [references[i] for i in first]).corpus
    assert bootstrap(Bleu(), statistics)[0] == pytest.approx(list(expected.values()), abs=1e-12)


def test_resamples_are_seeded_and_the_same_for_every_order():
    statistics = with_counts(np.random.default_rng(0).random((2, 30)))
    draws = bootstrap(RougeL(), statistics)
    assert draws.shape == (1000, 2, 1)
    np.testing.assert_array_equal(draws, bootstrap(RougeL(), statistics))
    np.testing.assert_allclose(draws[:, 1], bootstrap(RougeL(), statistics[1]))
    assert (draws != bootstrap(RougeL(), statistics, seed=1)).any()


def test_intervals_cover_in_a_small_simulation():
    population = with_counts(np.random.default_rng(0).gamma(2, size=20_000))
    assert 0.9 <= coverage(RougeL(), population, images=200, sets=200) <= 0.99
    rates = coverage(Bleu(), bleu_statistics(random.Random(0), 5000, 0.8), images=200, sets=200)
    assert ((rates >= 0.9) & (rates <= 0.99)).all(), rates


@pytest.fixture(scope="module")
def systems():
    """Statistics `[2, 14,405, k]` by metric: two made-up systems get the first parts of real captions right."""
    if not ROCO.is_dir():
        pytest.skip(f"needs {ROCO.name}")
    references = []
    for name in ("test", "validation"):
        with (ROCO / f"{name}_captions.csv").open(encoding="utf-8-sig", newline="") as file:
            references += [row["Caption"] for row in csv.DictReader(file)]
    draw = random.Random(0)

    def system():
        for text in references:
            cut = draw.randint(0, len(text.split()))
            yield " ".join(text.split()[:cut] + draw.choice(references).split()[cut:])

    order = np.arange(len(references))[None]
    measured = [measure(METRICS, list(system()), [[text] for text in references], order) for _ in range(2)]
    return {key: np.concatenate([found[key] for found in measured]) for key in METRICS}


@pytest.mark.slow
def test_intervals_cover_real_captions(systems):
    """400 sets of 500 images."""
    for key, (first, _) in systems.items():
        rates = coverage(METRICS[key], first, images=500, sets=400)
        assert ((rates >= 0.92) & (rates <= 0.975)).all(), (METRICS[key].names, rates)


@pytest.mark.slow
def test_differences_on_real_captions(systems):
    """400 sets of 500 images from two systems of which neither is better: a coin says whose caption is whose.

    The interval holds the true difference, and 5 % of the tests find one that is not there.
    """
    draw = np.random.default_rng(2)
    for key, (first, second) in systems.items():
        metric = METRICS[key]
        truth = metric.combine(second.sum(axis=0)) - metric.combine(first.sum(axis=0))
        held, found = [], []
        for number in range(400):
            images = draw.integers(len(first), size=500)
            low, high = interval(gaps(bootstrap(metric, np.stack([first[images], second[images]]), number)))
            held.append((low <= truth) & (truth <= high))
            coin = draw.integers(2, size=(500, 1)) == 1
            ours, theirs = np.where(coin, first[images], second[images]), np.where(coin, second[images], first[images])
            both = np.stack([ours, theirs])
            scores, draws = metric.combine(both.sum(axis=1)), bootstrap(metric, both, number)  # [2, names]
            each = [p_values(scores[:, [column]], draws[..., [column]].swapaxes(0, 1)) for column in range(len(truth))]
            found.append([p.min() < LEVEL for p in each])
        covered, wrong = np.mean(held, axis=0), np.mean(found, axis=0)
        assert ((covered >= 0.92) & (covered <= 0.975)).all(), (metric.names, covered)
        assert (wrong <= 0.08).all(), (metric.names, wrong)


def gaps(draws):
    """Second system minus first, of draws `[resamples, 2, names]`."""
    return draws[:, 1] - draws[:, 0]


def test_images_of_one_patient_are_drawn_together():
    statistics = with_counts(np.random.default_rng(0).random((2, 6)))
    groups = ["a", "", "a", "b", "", "b"]
    summed = by_group(statistics, groups)
    expected = [statistics[:, [0, 2]].sum(1), statistics[:, 1], statistics[:, [3, 5]].sum(1), statistics[:, 4]]
    np.testing.assert_allclose(summed, np.stack(expected, axis=1))
    np.testing.assert_array_equal(
        bootstrap(RougeL(), statistics, groups=groups), bootstrap(RougeL(), np.stack(expected, axis=1))
    )
    alone = bootstrap(RougeL(), statistics, groups=["", "x", "", "y", "z", ""])
    np.testing.assert_array_equal(alone, bootstrap(RougeL(), statistics))


def test_intervals_hold_where_images_of_a_patient_are_alike():
    """200 sets of 60 patients with 1 to 9 images: whole patients cover in 94 %, single images in 60 %."""
    draw, hits = np.random.default_rng(0), []
    for _ in range(200):
        sizes = draw.integers(1, 10, size=60)
        scores = np.repeat(draw.normal(size=60), sizes) + 0.3 * draw.normal(size=sizes.sum())
        groups = [str(number) for number in np.repeat(np.arange(60), sizes)]
        statistics = with_counts(scores)
        ends = [interval(bootstrap(RougeL(), statistics, groups=each)) for each in (groups, None)]
        hits.append([float(low[0]) <= 0 <= float(high[0]) for low, high in ends])
    whole, single = np.mean(hits, axis=0)
    assert whole >= 0.9 and single < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("looks", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("images", [100, 400])
def test_intervals_that_are_given_hold_however_little_a_captioner_looks(looks, images, capsys):
    """Of 200 sets of real captions, such a share of which begins as its image's; the others are of other images.

    Without the floor 17 to 52 % of BLEU-4's hold with none that looks; of those that are given 91 to 100 % do.
    """
    if not ROCO.is_dir():
        pytest.skip(f"needs {ROCO.name}")
    with (ROCO / "test_captions.csv").open(encoding="utf-8-sig", newline="") as file:
        references = [row["Caption"] for row in csv.DictReader(file)]
    draw = random.Random(0)

    def said(text):
        if draw.random() >= looks:
            return draw.choice(references)
        return " ".join(text.split()[: draw.randint(0, len(text.split()))] + draw.choice(references).split()[:8])

    texts = PTB(clean([said(text) for text in references], [[text] for text in references]))
    rng, seen = np.random.default_rng(1), {}
    for _ in range(200):
        chosen = rng.choice(len(texts), images, replace=False)
        part = Texts(tuple(texts.predictions[i] for i in chosen), tuple(texts.references[i] for i in chosen))
        for metric in (Bleu(), Cider(), RougeL()):
            statistics = metric.statistics(part, blind.orders(images))
            values, draws = (
                blind.split(metric.combine(statistics.sum(axis=-2))),
                blind.split(bootstrap(metric, statistics)),
            )
            moves = jump(metric, statistics[0])
            for suffix in ("", "_gain"):
                low, high = interval(draws[suffix])
                for column, name in enumerate(metric.names):
                    told = steady(values[suffix][column], high[column], moves[column])
                    seen.setdefault(name + suffix, []).append((values[suffix][column], low[column], high[column], told))
    for name, rows in seen.items():
        values, low, high, told = np.array(rows).T
        told = told.astype(bool)
        truth = 0.0 if name.endswith("_gain") and not looks else values.mean()
        held = ((low <= truth) & (truth <= high))[told].mean() if told.any() else np.nan
        with capsys.disabled():
            print(f"\n{images} images, {looks:.0%} look, {name}: given {told.mean():.2f}, hold {held:.3f}", end="")
        assert told.sum() < 20 or held >= 0.88, name


def test_no_interval_is_believed_of_what_is_too_rare_to_tell():
    metric = Concepts()
    statistics = np.ones((30, 14)) * np.linspace(0.2, 0.9, 30)[:, None]
    moves = jump(metric, statistics)
    far = {name for name, move in zip(metric.names, moves, strict=True) if np.isinf(move)}
    assert far == set(metric.unsure) == {"concept_f1_macro", "concept_f1_1_10"}
    assert not steady(0.5, 1.0, np.inf) and steady(0.5, 1.0, 0.0)
