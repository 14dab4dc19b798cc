"""Of the tiny captioner as it comes, and of attention that is written down."""

import numpy as np
import pytest
from looking import looked
from PIL import Image

from rococap.data.phantom.source import Phantom
from rococap.models.base import Captioner
from rococap.models.tiny import tiny
from rococap.models.vit_gpt2 import ViTGPT2
from rococap.report.attention import Attention, heat, telling_words, why_no_maps
from rococap.report.finding import on_finding, with_finding
from rococap.report.shown import Shown
from rococap.types import Example, Prediction

EXAMPLES = Phantom(train=1, valid=1, test=12, seed=0).examples("test")
CAPTIONS = [example.captions[0] for example in EXAMPLES]


def shown(examples, captions):
    return [Shown(e, Prediction(e.id, text), {}) for e, text in zip(examples, captions, strict=True)]


class Letters:
    """A processor whose tokens are letters: what a word's tokens are is plain to see."""

    def tokens(self, caption, limit):
        ids = [ord(letter) for letter in caption][: limit - 1]
        return [*ids, 0], False


def written(caption, tokens):
    return Attention(caption, np.asarray(tokens, dtype=np.float64), Letters())


def test_a_word_has_the_mean_of_its_tokens_as_shares_of_one():
    rows = np.zeros((6, 2, 2))
    rows[0, 0, 0], rows[3, 0, 1], rows[4, 1, 0] = 0.5, 0.2, 0.6  # "a", "c", "d" of "ab cd" and its end
    seen = written("ab cd", rows)
    np.testing.assert_allclose(seen.at(3, 5), [[0, 0.25], [0.75, 0]])
    np.testing.assert_allclose(seen.at(0, 1), [[1, 0], [0, 0]])


def test_a_word_beyond_what_the_decoder_takes_has_none():
    seen = written("ab cd", np.ones((3, 2, 2)))
    assert seen.at(0, 2) is not None and seen.at(3, 5) is None


def test_words_to_show_state_facts_or_look_where_others_do_not():
    caption = "CT shows one small infarct, left frontal"
    rows = np.full((len(caption) + 1, 2, 2), 0.25)
    rows[caption.index("infarct") :][:7] = [[1, 0], [0, 0]]
    seen = written(caption, rows)
    assert [word for word, _ in telling_words(seen, with_facts=True)] == ["small", "infarct", "left", "frontal"]
    assert [word for word, _ in telling_words(seen, with_facts=False, count=1)] == ["infarct"]
    assert telling_words(written("", np.ones((1, 2, 2))), with_facts=False) == []


def test_heat_is_orange_where_the_model_looked():
    drawn = np.asarray(heat(Image.new("L", (400, 200), 100), np.array([[1.0, 0.0], [0.0, 0.0]]))).astype(int)
    assert drawn.shape == (75, 150, 3)
    assert drawn[5, 5, 0] - drawn[5, 5, 2] > 100 and abs(drawn[-5, -5] - 100).max() < 10


def test_captions_of_any_length_are_looked_at_in_order():
    seen = looked(shown(EXAMPLES, ["x", *CAPTIONS[1:]]))
    assert list(seen) == [e.id for e in EXAMPLES]
    assert [one.caption for one in seen.values()] == ["x", *CAPTIONS[1:]]
    beside, (alone,) = seen[EXAMPLES[5].id], looked(shown(EXAMPLES[5:6], CAPTIONS[5:6])).values()
    start = CAPTIONS[5].index(" ") + 1
    np.testing.assert_allclose(beside.at(start, start + 4), alone.at(start, start + 4), atol=1e-5)
    assert beside.at(start, start + 4).shape == (14, 14)


def test_an_architecture_without_cross_attention_is_known():
    class Blind(ViTGPT2):
        attend = Captioner.attend

    captioner = tiny()
    assert why_no_maps(captioner) is None
    captioner.grid = None
    assert "not known" in why_no_maps(captioner)
    captioner.__class__ = Blind
    assert "no attention goes" in why_no_maps(captioner)


def found_by(look):
    """What is found where the attention of every token is `look(image) [rows, columns]`."""
    images, processor = with_finding(shown(EXAMPLES, CAPTIONS)), tiny().processor
    captions = dict(zip([e.id for e in EXAMPLES], CAPTIONS, strict=True))
    looks = {i: Attention(captions[i], np.tile(look(image), (64, 1, 1)), processor) for i, image in images.items()}
    return on_finding(images, looks)


def patches(mask):
    return mask.reshape(14, 16, 14, 16).mean((1, 3))


def test_attention_on_the_finding_is_told_from_attention_anywhere():
    there = found_by(lambda image: patches(image.finding()))
    anywhere = found_by(lambda image: np.ones((14, 14)))
    by_fact = {one.fact: one for one in there}
    assert {"kind", "side", "place", "size", "count", "modality"} == set(by_fact)
    kind = by_fact["kind"]
    assert kind.images == len([e for e in EXAMPLES if e.image.facts()["kind"] != "none"]) >= 8
    assert kind.share > 0.4 > 5 * kind.area and kind.low <= kind.share <= kind.high
    assert kind.elsewhere < kind.share / 3
    for one in anywhere:
        assert one.share == pytest.approx(one.area)


def test_only_images_whose_finding_is_known_are_looked_at():
    other = [Example("a", Image.new("L", (8, 8)), ("two nodules",))]
    assert with_finding(shown(other, ["two nodules"])) == {}
    images = Phantom(train=1, valid=1, test=60, seed=0).examples("test")
    normal = [example for example in images if example.image.facts()["kind"] == "none"]
    assert normal and with_finding(shown(normal, ["normal"] * len(normal))) == {}
    assert len(with_finding(shown(images, ["normal"] * len(images)))) == min(50, len(images) - len(normal))
