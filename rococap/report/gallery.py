"""Images with what the model says of them: the best, the median, the worst, and some at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rococap.data.image import read
from rococap.metrics.facts import facts_said
from rococap.models.base import Captioner
from rococap.report.attention import attention, can_attend, heat, telling_words
from rococap.report.page import picture, template
from rococap.report.samples import RIGHT, WRONG, judged
from rococap.types import Example, Prediction

OF_EACH = 4
AT_RANDOM = 8
_KINDS = {RIGHT: "right", WRONG: "wrong"}


@dataclass(frozen=True, slots=True)
class Shown:
    """An image of a gallery, what is said of it, and its own scores by name."""

    example: Example
    prediction: Prediction
    scores: Mapping[str, float]


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


def gallery(groups: Mapping[str, Sequence[Shown]], captioner: Captioner | None) -> Markup:
    """The cards of all groups; with heat maps of some words where a captioner is given that has cross-attention."""
    every = [one for group in groups.values() for one in group]
    with_facts = all(p.references and facts_said(p.references[0]) for p in (one.prediction for one in every))
    looking = captioner is not None and can_attend(captioner)
    maps = _maps(captioner, every, with_facts) if captioner is not None and looking else {}
    cards = {
        name: [_card(one, with_facts, maps.get(one.example.id, [])) for one in group] for name, group in groups.items()
    }
    return Markup(template("gallery").render(groups=cards, with_facts=with_facts, with_maps=looking))


def _maps(captioner: Captioner, every: Sequence[Shown], with_facts: bool) -> dict[str, list[tuple[str, Markup]]]:
    """Id -> some words, each with the image and where the model looked."""
    seen = attention(captioner, [one.example for one in every], [one.prediction.prediction for one in every])
    return {
        one.example.id: [
            (word, picture(heat(read(one.example.image), weights), f"attention for {word}"))
            for word, weights in telling_words(looks, with_facts)
        ]
        for one, looks in zip(every, seen, strict=True)
    }


def _card(one: Shown, with_facts: bool, maps: list[tuple[str, Markup]]) -> dict[str, object]:
    said, true = one.prediction, next(iter(one.prediction.references), "")
    words = judged(said.prediction, true) if with_facts else [(word, "") for word in said.prediction.split()]
    return {
        "id": said.id,
        "image": picture(read(one.example.image), said.id),
        "words": [(word, _KINDS.get(colour, "")) for word, colour in words],
        "references": said.references,
        "scores": one.scores,
        "concepts": [concept.name or concept.cui for concept in said.concepts],
        "attribution": said.attribution,
        "maps": maps,
    }
