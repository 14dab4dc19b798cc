"""How ImageCLEFmedical Caption prepares captions for ROUGE-1, BERTScore and BLEURT.

After `CaptionEvaluator.preprocess_caption` of github.com/taubsity/clef-caption-evaluation-2026; the editions of 2023
and 2025 prepare texts alike (github.com/taubsity/clef-caption-evaluation, its history).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

from rococap.metrics.text import Texts

EMPTIED = "\0"  # had characters, and preparing left none
_SURROGATES = re.compile("[\0\ud800-\udfff]")  # which neither UTF-8 nor a tokenizer can hold
_DIGITS = re.compile(r"\d+")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, each run of digits as the word `number`, no ASCII punctuation; other quotes and dashes stay."""
    return _DIGITS.sub("number", text.lower()).translate(_NO_PUNCTUATION)


class ImageClefTokenizer:
    """Prepares texts as they were written, and leaves words to the metric."""

    name = "case:lc|digits:number|punct:no|tok:imageclef"

    def __call__(self, texts: Texts) -> Texts:
        """Both sides; concepts stay. A text of which nothing is left becomes `EMPTIED`."""
        return Texts(
            tuple(map(_prepared, texts.predictions)),
            tuple(tuple(map(_prepared, references)) for references in texts.references),
            texts.concepts,
        )


def _prepared(text: str) -> str:
    found = normalise(_SURROGATES.sub(" ", text))
    return EMPTIED if text and not found else found


def without_text(text: str, edition: int) -> bool:
    """Whether a prepared text is one of those that agree with one another, and score 1.

    In 2023's code those of which preparing left nothing; in those since 2025 only what was empty when it was handed in.
    """
    return not text or (edition < 2025 and text == EMPTIED)


IMAGECLEF = ImageClefTokenizer()


# What ImageCLEFmedical Caption ranks by since 2025: means of scores. `similarity` is of MedImageInsight's embeddings of
# image and caption, which no metric here computes.
COMPOSITES = {
    "imageclef_relevance": ("bertscore_f1", "rouge_1", "similarity"),
    "imageclef_factuality": ("medcat", "alignscore"),
}


def composites(names: Iterable[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, list[str]]]:
    """Of the composites of which some part is among scores: those that can be had, and what the others lack."""
    there = set(names)
    begun = {name: parts for name, parts in COMPOSITES.items() if there.intersection(parts)}
    lacking = {name: [part for part in parts if part not in there] for name, parts in begun.items()}
    whole = {name: parts for name, parts in begun.items() if not lacking[name]}
    return whole, {name: parts for name, parts in lacking.items() if parts}
