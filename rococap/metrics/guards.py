"""Signs of a captioner gone wrong that scores do not show, from its captions alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Guard:
    """A measure of all captions; `warning` says what it means, and is empty where the value is in bounds."""

    name: str
    value: float
    warning: str = ""


UPPER_BOUND = Guard(
    "gold_concepts",
    1.0,
    "the gold concepts stand before each caption: these scores are an upper bound, and those of no captioner",
)


@dataclass(frozen=True, slots=True)
class Watch:
    """All guards of a run's captions.

    Args:
        length: of a caption, in tokens with the end token, as far as `limit`. Generated captions come as text and are
            tokenized anew: where pieces merge, one that was cut may seem a token or two shorter, and pass.
        limit: new tokens, the end token included, at which a caption is cut.
        common: the most frequent caption of the training set; empty where it is not known.
    """

    length: Callable[[str], int]
    limit: int
    common: str

    def __call__(
        self, captions: Sequence[str], references: Sequence[Sequence[str]], concepts: Sequence[object] = ()
    ) -> list[Guard]:
        """Every guard that can be had: without references none of length, without a common caption none of that.

        Images' `concepts` are of no account.
        """
        guards = [unique_ratio(captions), repetition(captions)]
        guards.append(length_limit([self.length(text) for text in captions], self.limit))
        if any(text.strip() for texts in references for text in texts):
            guards.append(length_ratio(captions, references))
        if self.common:
            guards.append(common_share(captions, self.common))
        return guards


def unique_ratio(captions: Sequence[str]) -> Guard:
    """Different captions per caption; those of 10,000 real images are all but all different."""
    value = len(set(captions)) / len(captions)
    meaning = f"only {value:.0%} of the captions differ: the model may not look at the image"
    return Guard("unique_ratio", value, meaning if value < 0.3 else "")


def length_ratio(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Guard:
    """Mean words of the captions over mean words of all references."""
    theirs = [_words(text) for texts in references for text in texts]
    value = float(np.mean([_words(text) for text in captions]) / np.mean(theirs))
    meaning = f"captions have {value:.2f} times the words of the references: lengths alone cost score"
    return Guard("length_ratio", value, "" if 0.5 <= value <= 2 else meaning)


def repetition(captions: Sequence[str]) -> Guard:
    """Words in the longest n-gram that a caption says twice: 95th percentile over captions; 3 in real ones."""
    value = float(np.quantile([longest_repeat(text) for text in captions], 0.95))
    meaning = f"1 caption in 20 says {value:.0f} or more words twice: the decoder runs in circles"
    return Guard("repetition", value, meaning if value > 6 else "")


def length_limit(lengths: Sequence[int], limit: int) -> Guard:
    """Share of captions that reached `limit` new tokens; `lengths` in tokens, the end token included."""
    value = float(np.mean([length >= limit for length in lengths]))
    meaning = f"{value:.0%} of the captions were cut at {limit} tokens: the model does not end them, or needs more"
    return Guard("length_limit", value, meaning if value > 0.05 else "")


def common_share(captions: Sequence[str], common: str) -> Guard:
    """Share equal to `common`, the most frequent caption of the training set."""
    value = float(np.mean([text.strip() == common.strip() for text in captions]))
    meaning = f"{value:.0%} of the captions are the most common one of the training set: {common[:60]!r}"
    return Guard("common_share", value, meaning if value > 0.2 else "")


def longest_repeat(text: str) -> int:
    """Words in the longest n-gram that occurs twice in a text, overlaps counted: 2 in "to be or not to be"."""
    words = text.lower().split()
    size = 0
    # Whatever occurs twice has parts that occur twice: the first size without a repeat ends the search.
    while _repeats(words, size + 1):
        size += 1
    return size


def _repeats(words: Sequence[str], size: int) -> bool:
    grams = [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
    return len(set(grams)) < len(grams)


def _words(text: str) -> int:
    return len(text.split())
