"""Whether a caption states what is in the image: for the phantom, whose captions state known facts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from rococap.data.phantom.vocabulary import WORDS
from rococap.metrics.base import FloatArray, IntArray, Metric
from rococap.metrics.text import AsWritten, Texts
from rococap.types import UserError

_VALUES = {fact: {word.lower(): value for value, said in WORDS[fact].items() for word in said} for fact in WORDS}
_PATTERNS = {
    fact: re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, values), key=len, reverse=True))})\b", re.IGNORECASE)
    for fact, values in _VALUES.items()
}


@dataclass(frozen=True, slots=True)
class Mention:
    """Words `text[start:end]` of a caption that state a fact."""

    fact: str
    value: str
    start: int
    end: int


def mentions(text: str) -> list[Mention]:
    """All words that state a fact, in the order of the text."""
    found = [
        Mention(fact, _VALUES[fact][match.group().lower()], match.start(), match.end())
        for fact, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
    ]
    if any(mention.value in ("two", "three") for mention in found):
        found = [mention for mention in found if mention.value != "one"]  # the article of another noun
    return sorted(found, key=lambda mention: mention.start)


def facts_said(text: str) -> dict[str, str]:
    """The facts that a text states. One that it states in two ways ("left and right") is not stated."""
    values: dict[str, set[str]] = {}
    for mention in mentions(text):
        values.setdefault(mention.fact, set()).add(mention.value)
    return {fact: said.pop() for fact, said in values.items() if len(said) == 1}


class Facts(Metric):
    """Of the facts that the references state, the share that the prediction states rightly; unstated is wrong.

    Several references of one image are read as one text.
    """

    names = ("facts",)
    tokenizer = AsWritten()

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2]`: facts rightly stated, facts to state. Raises UserError where there are none."""
        said = [facts_said(prediction) for prediction in texts.predictions]
        truths = [facts_said("\n".join(references)) for references in texts.references]
        if not all(truths):
            silent = texts.references[truths.index({})][0]
            raise UserError(
                f"metrics: facts knows the captions of data=phantom, and finds no fact in {silent[:60]!r}.\n"
                "Leave it out: metrics=[bleu,meteor,rouge_l,cider]"
            )
        right = [
            [
                sum(said[index].get(fact) == value for fact, value in truth.items())
                for index, truth in zip(order, truths, strict=True)
            ]
            for order in orders
        ]
        stated = np.broadcast_to([len(truth) for truth in truths], orders.shape)
        return np.stack([np.asarray(right, np.float64), stated.astype(np.float64)], axis=-1)

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., 2] -> [..., 1]`."""
        return sums[..., :1] / sums[..., 1:]

    def perfect(self, sums: FloatArray, samples: int) -> FloatArray:
        """`[..., 2]`: as many facts as a mean caption states, all of them rightly."""
        return np.repeat(sums[..., 1:] / samples, 2, axis=-1)
