"""Images with what the model says of them: the best, the median, the worst, and some at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from rococap.metrics.facts import facts_said
from rococap.report.attention import Attention, heat, telling_words
from rococap.report.page import picture, template
from rococap.report.samples import RIGHT, WRONG, judged
from rococap.report.shown import Shown

OF_EACH = 4
AT_RANDOM = 8
_KINDS = {RIGHT: "right", WRONG: "wrong"}


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


def gallery(groups: Mapping[str, Sequence[Shown]], looks: Mapping[str, Attention]) -> Markup:
    """The cards of all groups; with heat maps of some words of the images that have attention, given by id."""
    every = [one for group in groups.values() for one in group]
    with_facts = all(p.references and facts_said(p.references[0]) for p in (one.prediction for one in every))
    cards = {
        name: [_card(one, with_facts, looks.get(one.example.id)) for one in group] for name, group in groups.items()
    }
    return Markup(template("gallery").render(groups=cards, with_facts=with_facts, with_maps=bool(looks)))


def _card(one: Shown, with_facts: bool, looks: Attention | None) -> dict[str, object]:
    said, true = one.prediction, next(iter(one.prediction.references), "")
    words = judged(said.prediction, true) if with_facts else [(word, "") for word in said.prediction.split()]
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
            for word, weights in (telling_words(looks, with_facts) if looks else ())
        ],
    }
