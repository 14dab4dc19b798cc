import hashlib
import pickle

import numpy as np
import pytest
from PIL import Image

from rococap.data.phantom.anatomy import ANATOMY
from rococap.data.phantom.findings import LESIONS, add_findings
from rococap.data.phantom.source import PLACES, Phantom, PhantomImage
from rococap.data.phantom.vocabulary import WORDS
from rococap.metrics.facts import facts_said
from rococap.types import UserError

PHANTOM = Phantom(train=10_000, valid=300, test=300, seed=3)


def test_every_caption_states_exactly_the_facts_of_its_image():
    for split in ("train", "valid", "test"):
        for example in PHANTOM.examples(split):
            assert facts_said(example.captions[0]) == example.image.facts(), example.captions[0]


def test_captions_vary_and_all_words_are_written():
    captions = [example.captions[0] for example in PHANTOM.examples("train")]
    assert len(set(captions)) > 5000
    written = " ".join(captions).lower()
    assert all(word.lower() in written for values in WORDS.values() for said in values.values() for word in said)


def test_facts_are_independent_and_balanced():
    facts = [PhantomImage(3, "train", index).facts() for index in range(6000)]
    assert 0.08 < np.mean([f["kind"] == "none" for f in facts]) < 0.12
    for fact in ("side", "size", "count", "modality"):
        values = [f[fact] for f in facts if fact in f]
        shares = [values.count(value) / len(values) for value in WORDS[fact]]
        assert np.allclose(shares, 1 / len(shares), atol=0.03), (fact, shares)


def test_an_image_is_the_same_whenever_and_wherever_it_is_drawn():
    image = PhantomImage(3, "train", 5)
    assert image.open().tobytes() == pickle.loads(pickle.dumps(image)).open().tobytes()
    assert Phantom(10, 1, 1, seed=3).examples("train")[5] == PHANTOM.examples("train")[5]
    assert image.open().size == (224, 224)


def test_no_two_images_are_alike_within_and_across_splits_and_seeds():
    images = [PhantomImage(seed, split, i) for seed in (0, 1) for split in ("train", "test") for i in range(30)]
    assert len({hashlib.sha256(image.open().tobytes()).digest() for image in images}) == len(images)


@pytest.mark.parametrize(("modality", "kind"), LESIONS)
def test_a_finding_lies_where_the_caption_says(modality: str, kind: str):
    """The patient's right is on the left of the image; places follow each other from top to bottom."""
    anatomy = ANATOMY[modality](np.random.default_rng(0))
    for side in ("right", "left"):
        heights = []
        for place in PLACES[modality]:
            facts = {"modality": modality, "kind": kind, "count": "two", "size": "small", "side": side, "place": place}
            picture = anatomy.picture.copy()
            add_findings(picture, facts, anatomy.centres[side, place], np.random.default_rng(1))
            change = np.abs(picture - anatomy.picture)
            assert change.max() > 0.15, "too faint to be seen"
            rows, columns = np.nonzero(change > 0.1)
            assert (np.mean(columns) < 112) == (side == "right")
            heights.append(rows.min())
        assert heights == sorted(heights) and len(set(heights)) == len(heights)


@pytest.mark.parametrize(("modality", "kind"), LESIONS)
def test_size_and_count_are_seen(modality: str, kind: str):
    anatomy = ANATOMY[modality](np.random.default_rng(0))

    def area(size: str, count: str) -> float:
        facts = {"modality": modality, "kind": kind, "count": count, "size": size, "side": "left"}
        picture = anatomy.picture.copy()
        place = PLACES[modality][0]
        add_findings(picture, facts | {"place": place}, anatomy.centres["left", place], np.random.default_rng(1))
        return float((np.abs(picture - anatomy.picture) > 0.1).sum())

    assert area("small", "one") < area("small", "two") < area("small", "three")
    assert 1.5 * area("small", "one") < area("large", "one")


def test_the_finding_is_marked_where_it_is():
    images = [PhantomImage(3, "train", index) for index in range(60)]
    for image in images:
        assert image.finding().any() == (image.facts()["kind"] != "none")
        if image.finding().any():
            assert (np.nonzero(image.finding())[1].mean() < 112) == (image.facts()["side"] == "right")


def test_fingerprint_and_errors():
    assert PHANTOM.fingerprint() == Phantom(10_000, 300, 300, 3).fingerprint()
    assert PHANTOM.fingerprint() != Phantom(10_000, 300, 300, 4).fingerprint()
    assert isinstance(PHANTOM.examples("test")[0].image.open(), Image.Image)
    with pytest.raises(UserError, match="valid=0"):
        Phantom(1, 0, 1, 0)
    with pytest.raises(UserError, match="seed=-1"):
        Phantom(1, 1, 1, -1)
