"""What a metric reads: texts as they were written, or each as one clean line."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rococap.types import Concept

log = logging.getLogger(__name__)

# Java and Python each end a line at some of these; NUL and lone surrogates do not survive UTF-8 or C strings.
_BREAKS = re.compile("[\0\n\r\v\f\x1c-\x1e\x85\u2028\u2029\ud800-\udfff]")
_UNHELD = re.compile("[\0\ud800-\udfff]")
# METEOR's protocol separates texts by three bars. The PTB tokenizer splits bars anyway, except within a tag or a URL.
_BARS = re.compile(r"\|{3,}")


def sendable(text: str) -> str:
    """The text without what UTF-8 or C strings cannot hold: it goes to another program."""
    return _UNHELD.sub("", text)


def one_line(text: str) -> str:
    """The text with a blank for each line break, of any kind, and for what UTF-8 or C strings cannot hold."""
    return _BREAKS.sub(" ", text)


def clean_line(text: str) -> str:
    """The text as one line that passes every scorer: a run of bars is spaced out, too."""
    return _BARS.sub(lambda bars: " ".join(bars.group()), one_line(text))


@dataclass(frozen=True, slots=True)
class Texts:
    """Predictions and the references of each, in one order; the images' concepts too, where they were given.

    As they were written: how a text is prepared is its metric's tokenizer's affair.
    """

    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    concepts: tuple[tuple[Concept, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.predictions)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """`[references]`: the image of each, when all are listed in order."""
        return np.repeat(np.arange(len(self)), [len(texts) for texts in self.references])


def worded(texts: Texts, tokenizer: str) -> Texts:
    """Texts as a tokenizer left them, without references of which it left nothing while an image has others.

    Such a reference is the closest in length to a short caption, and lifts BLEU. What is left out is counted in the
    log; so are images with nothing else, of which every caption is wrong.
    """
    kept = tuple(tuple(text for text in group if text.strip()) or group for group in texts.references)
    if dropped := sum(map(len, texts.references)) - sum(map(len, kept)):
        log.warning("%s references without a word in them are left out (%s)", f"{dropped:,}", tokenizer)
    if bare := sum(not any(text.strip() for text in group) for group in kept):
        log.warning("%s images have no reference with a word in it (%s)", f"{bare:,}", tokenizer)
    return replace(texts, references=kept)


class AsWritten:
    """A tokenizer that leaves texts as they are."""

    name = "case:mixed|punct:yes|tok:none"

    def __call__(self, texts: Texts) -> Texts:
        return texts


def clean(
    predictions: Sequence[str], references: Sequence[Sequence[str]], concepts: Sequence[Sequence[Concept]] = ()
) -> Texts:
    """Clean lines of both. Raises ValueError unless every prediction has at least one reference."""
    return lines_of(as_written(predictions, references, concepts))


def lines_of(texts: Texts) -> Texts:
    """The same texts as clean lines, see `clean_line`; concepts stay."""
    return replace(
        texts,
        predictions=tuple(map(clean_line, texts.predictions)),
        references=tuple(tuple(map(clean_line, group)) for group in texts.references),
    )


def as_written(
    predictions: Sequence[str], references: Sequence[Sequence[str]], concepts: Sequence[Sequence[Concept]] = ()
) -> Texts:
    """Both as they are. Raises ValueError unless every prediction has at least one reference."""
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, but {len(references)} lists of references")
    if not predictions:
        raise ValueError("no predictions to score")
    if isinstance(references[0], str):
        raise ValueError("references are lists of texts, one list for each prediction; got a plain text")
    bare = [row for row, texts in enumerate(references) if not texts]
    if bare:
        raise ValueError(f"{len(bare)} predictions have no reference, the first is row {bare[0]}")
    return Texts(tuple(predictions), tuple(map(tuple, references)), tuple(map(tuple, concepts)))
