"""Images with what the model says of them: the best, the median, the worst, and some at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from rococap.metrics.facts import facts_said
from rococap.report.attention import Looks, heat
from rococap.report.concept_words import LEGEND, concept_words
from rococap.report.page import picture, template
from rococap.report.samples import MISSED, RIGHT, WRONG, Word, judged
from rococap.report.shown import Shown
from rococap.types import Prediction

OF_EACH = 4
AT_RANDOM = 8
_KINDS = {RIGHT: "right", WRONG: "wrong", MISSED: "missed"}
_FACTS = Markup(
    "Words that state a fact are <span class='right'>green</span> where the reference states it too, "
    "<span class='wrong'>red</span> where it does not."
)


def choose(shown: Sequence[Shown], metric: str) -> dict[str, list[Shown]]:
    """Groups of a gallery by heading: best, median and worst by a metric where it was scored, and random ones.

    No image comes twice; where there are few, later groups have fewer.
    """
    left = list(range(len(shown)))
    groups: dict[str, list[int]] = {}
    if all(metric in one.scores for one in shown):
        order = sorted(left, key=lambda index: -shown[index].scores[metric])
        middle = max(0, len(order) // 2 - OF_EACH // 2)
        groups["Best"], groups["Median"] = order[:OF_EACH], order[middle : middle + OF_EACH]
        groups["Worst"] = order[::-1][:OF_EACH]
    groups["Random"] = np.random.default_rng(0).permutation(left).tolist()
    taken: set[int] = set()
    chosen = {}
    for name, indices in groups.items():
        new = [index for index in indices if index not in taken][: AT_RANDOM if name == "Random" else OF_EACH]
        taken.update(new)
        if new:
            chosen[name] = [shown[index] for index in new]
    return chosen


def gallery(
    groups: Mapping[str, Sequence[Shown]], looks: Mapping[str, Looks], names: Mapping[str, str] | None = None
) -> Markup:
    """The cards of all groups; with heat maps of some words of the images that have attention, given by id.

    Args:
        names: of concepts by code, where predictions are lists of concepts.
    """
    predictions = [one.prediction for group in groups.values() for one in group]
    with_facts = names is None and all(p.references and facts_said(p.references[0]) for p in predictions)
    cards = {
        name: [_card(one, _words(one.prediction, names, with_facts), with_facts, looks) for one in group]
        for name, group in groups.items()
    }
    legend = LEGEND if names is not None else _FACTS if with_facts else ""
    shown = {"groups": cards, "legend": legend, "with_maps": bool(looks), "detected": names is not None}
    return Markup(template("gallery").render(shown))


def _words(prediction: Prediction, names: Mapping[str, str] | None, with_facts: bool) -> Sequence[Word]:
    if names is not None:
        return concept_words(prediction, names)
    said, true = prediction.prediction, next(iter(prediction.references), "")
    return judged(said, true) if with_facts else [(word, "") for word in said.split()]


def _card(one: Shown, words: Sequence[Word], with_facts: bool, looks: Mapping[str, Looks]) -> dict[str, object]:
    said, look = one.prediction, looks.get(one.example.id)
    return {
        "id": said.id,
        "image": picture(one.image, said.id),
        "words": [(word, _KINDS.get(colour, "")) for word, colour in words],
        "references": said.references,
        "scores": one.scores,
        "concepts": [concept.name or concept.cui for concept in said.concepts],
        "attribution": said.attribution,
        "maps": [
            (word, picture(heat(one.image, weights), f"attention for {word}"))
            for word, weights in (look.telling(with_facts) if look else ())
        ],
    }
