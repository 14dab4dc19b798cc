import numpy as np
import pytest

from rococap.data.phantom.source import Phantom
from rococap.metrics.facts import Facts, facts_said, mentions
from rococap.types import UserError

CAPTION = "Chest X-ray shows two small nodules in the left upper zone."
TRUE = {
    "modality": "radiograph", "kind": "nodule", "count": "two", "size": "small", "side": "left", "place": "upper",
}  # fmt: skip


def score(prediction: str, *references: str) -> float:
    return Facts()([prediction], [list(references)]).corpus["facts"]


def test_reads_the_facts_of_a_caption():
    assert facts_said(CAPTION) == TRUE
    assert facts_said("A bird on a wire.") == {"count": "one"}
    assert facts_said("") == {}


def test_words_within_words_state_nothing():
    assert facts_said("abnormal octopus, bright smallness, twofold uppermost") == {}


def test_counts_right_facts_only():
    assert score(CAPTION, CAPTION) == 1
    assert score(CAPTION.replace("left", "right"), CAPTION) == pytest.approx(5 / 6)
    assert score("Chest X-ray.", CAPTION) == pytest.approx(1 / 6), "unstated is wrong"
    assert score("", CAPTION) == 0
    assert score(CAPTION, "Normal chest X-ray.") == pytest.approx(1 / 2), "a finding that is not there"


def test_a_fact_stated_in_two_ways_is_wrong():
    assert score(CAPTION.replace("left", "left and right"), CAPTION) == pytest.approx(5 / 6)
    assert score("CT ultrasound radiograph", CAPTION) == 0


def test_the_corpus_score_is_over_all_facts():
    scores = Facts()([CAPTION, ""], [[CAPTION], ["Normal chest X-ray."]])
    assert scores.corpus["facts"] == pytest.approx(6 / 8)
    assert scores.per_sample["facts"].tolist() == [1, 0]


def test_mentions_say_where():
    assert {mention.fact: CAPTION[mention.start : mention.end] for mention in mentions(CAPTION)} == {
        "modality": "X-ray", "kind": "nodules", "count": "two", "size": "small", "side": "left", "place": "upper",
    }  # fmt: skip


def test_captions_of_other_data_are_refused():
    with pytest.raises(UserError, match="data=phantom"):
        score(CAPTION, "Barium swallow.")


def test_blind_captions_score_chance():
    """Chance by the facts' own frequencies: the expected match of two independent images."""
    examples = Phantom(train=3000, valid=1, test=1, seed=0).examples("train")
    captions, truths = [example.captions[0] for example in examples], [example.image.facts() for example in examples]
    rng = np.random.default_rng(0)
    order = rng.permutation(len(captions))
    blind = Facts()([captions[i] for i in order], [[caption] for caption in captions]).corpus["facts"]

    def matches(fact: str) -> float:
        values = [truth[fact] for truth in truths if fact in truth]
        shares = np.array([values.count(value) for value in set(values)]) / len(truths)
        return float((shares**2).sum())

    facts = ("modality", "kind", "count", "size", "side", "place")
    chance = sum(matches(fact) for fact in facts) / np.mean([len(truth) for truth in truths])
    assert blind == pytest.approx(chance, abs=0.015)
    assert 0.2 < chance < 0.4
