"""How ImageCLEFmedical Caption prepares captions for ROUGE-1, BERTScore and BLEURT.

After `CaptionEvaluator.preprocess_caption` of github.com/taubsity/clef-caption-evaluation-2026.
"""

from __future__ import annotations

import re
import string

from rococap.metrics.text import Texts

_DIGITS = re.compile(r"\d+")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, each run of digits as the word `number`, no ASCII punctuation; other quotes and dashes stay."""
    return _DIGITS.sub("number", text.lower()).translate(_NO_PUNCTUATION)


class ImageClefTokenizer:
    """Prepares texts, and leaves words to the metric."""

    name = "case:lc|digits:number|punct:no|tok:imageclef"

    def __call__(self, texts: Texts) -> Texts:
        """Both sides; concepts stay."""
        return Texts(
            tuple(map(normalise, texts.predictions)),
            tuple(tuple(map(normalise, references)) for references in texts.references),
            texts.concepts,
        )


IMAGECLEF = ImageClefTokenizer()
