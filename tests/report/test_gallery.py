import pytest
from looking import looked

from rococap.data.phantom.source import Phantom
from rococap.report.gallery import choose, gallery
from rococap.report.shown import Shown
from rococap.types import Concept, Prediction

EXAMPLES = Phantom(train=1, valid=1, test=40, seed=0).examples("test")


def shown(count, scored=True):
    """The first images, the later the better; each says what the image before it shows."""
    return [
        Shown(
            e,
            Prediction(e.id, EXAMPLES[i - 1].captions[0], e.captions, e.concepts),
            {"cider": i / 10} if scored else {},
        )
        for i, e in enumerate(EXAMPLES[:count])
    ]


def test_the_best_the_median_the_worst_and_others_are_chosen():
    chosen = {name: [one.example.id for one in group] for name, group in choose(shown(40), "cider").items()}
    ids = [example.id for example in EXAMPLES]
    assert chosen["Best"] == ids[:-5:-1] and chosen["Worst"] == ids[:4] and chosen["Median"] == ids[21:17:-1]
    assert len(chosen["Random"]) == 8
    every = [name for group in chosen.values() for name in group]
    assert len(set(every)) == len(every) == 20


@pytest.mark.parametrize(("count", "groups"), [(1, {"Best": 1}), (6, {"Best": 4, "Median": 1, "Worst": 1}), (13, None)])
def test_few_images_come_once_each(count, groups):
    chosen = choose(shown(count), "cider")
    assert sum(map(len, chosen.values())) == count
    assert groups is None or {name: len(group) for name, group in chosen.items()} == groups


def test_without_scores_images_are_random_and_always_the_same():
    first, again = (choose(shown(40, scored=False), "cider") for _ in range(2))
    assert list(first) == ["Random"] and first == again and len(first["Random"]) == 8


def test_a_card_tells_all_and_escapes_it():
    one = Shown(
        EXAMPLES[0],
        Prediction(
            "a<b", "<script>1</script>", ("left & right",), (Concept("C1", "Chest"), Concept("C2")), "Doe <CC BY>"
        ),
        {"cider": 1.234},
    )
    drawn = gallery({"Best": [one]}, {})
    for text in ("a&lt;b", "&lt;script&gt;", "left &amp; right", "Chest, C2", "Doe &lt;CC BY&gt;", "cider 1.23"):
        assert text in drawn
    assert "<script" not in drawn and "figcaption" not in drawn


def test_facts_are_coloured_and_words_have_heat_maps_where_they_can():
    group = {"Best": shown(3)}
    drawn = gallery(group, looked(group["Best"]))
    assert '<span class="wrong">' in drawn and '<span class="right">' in drawn
    assert drawn.count("<figcaption>") >= 3 and drawn.count("data:image/jpeg;base64,") == 3 + drawn.count(
        "<figcaption>"
    )
    assert gallery(group, {}).count("data:image/jpeg;base64,") == 3


def test_an_empty_caption_is_said_to_be_empty():
    e = EXAMPLES[0]
    one = Shown(e, Prediction(e.id, "", ()), {})
    assert "an empty caption" in gallery({"Random": [one]}, looked([one]))
