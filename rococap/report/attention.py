"""Where a captioner looks while it writes a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from rococap.data.image import to_rgb
from rococap.metrics.base import FloatArray
from rococap.metrics.facts import mentions
from rococap.models.base import Captioner
from rococap.models.processor import HFProcessor
from rococap.recipe.captioning import Attending
from rococap.report.shown import Shown

_BATCH = 32
_PLAIN = {"there", "this", "that", "with", "from", "shows", "showing", "demonstrates", "demonstrating", "image"}
_HEAT = np.array([255.0, 90.0, 0.0])  # orange, which no radiograph is


class Looks(Protocol):
    """Where a model looked in one image."""

    def telling(self, with_facts: bool) -> list[tuple[str, FloatArray]]:
        """Some words with their maps `[rows, columns]`; of captions that state facts those that do."""
        ...


@dataclass(frozen=True, slots=True)
class Attention:
    """Of one caption: how much of each token's attention lies on each patch, `tokens [tokens, rows, columns]`."""

    caption: str
    tokens: FloatArray
    processor: HFProcessor

    def at(self, start: int, end: int) -> FloatArray | None:
        """Attention `[rows, columns]` of the word `caption[start:end]`, mean over its tokens, summing to 1.

        None beyond the tokens that the decoder can take.
        """
        first, last = (self._tokens_in(text) for text in (self.caption[:start].rstrip(), self.caption[:end]))
        if first >= last:
            return None
        weights = self.tokens[first:last].mean(axis=0)
        return np.asarray(weights / weights.sum())

    def telling(self, with_facts: bool) -> list[tuple[str, FloatArray]]:
        """See `telling_words`."""
        return telling_words(self, with_facts)

    def _tokens_in(self, text: str) -> int:
        return len(self.processor.tokens(text, len(self.tokens))[0]) - 1  # without the end token


def why_no_maps(captioner: Captioner) -> str | None:
    """Why it is not to be seen where a captioner looks; None where it is."""
    if captioner.prompted:
        return "concepts stand before these captions, and it is not drawn where words look that continue others"
    kind = captioner.model_class
    if type(captioner).attend is Captioner.attend:
        return (
            f"in a {kind} no attention goes from a caption's words to single patches, or transformers does not give it"
        )
    if captioner.grid is None:
        return f"how the tokens that a {kind} makes of an image lie in the image is not known here"
    return None


def attention(captioner: Captioner, attend: Attending, shown: Sequence[Shown]) -> dict[str, Attention]:
    """Id -> the attention of the caption over its image."""
    processor = captioner.processor
    seen = {}
    for start in range(0, len(shown), _BATCH):
        batch = shown[start : start + _BATCH]
        texts = [one.prediction.prediction for one in batch]
        pixels = np.stack([processor.pixels(one.image) for one in batch])
        maps = attend(torch.from_numpy(pixels), texts).float().cpu().numpy()
        assert captioner.grid is not None  # `why_no_maps`
        for one, found in zip(batch, maps.reshape(*maps.shape[:2], *captioner.grid), strict=True):
            seen[one.example.id] = Attention(one.prediction.prediction, found, processor)
    return seen


def telling_words(seen: Attention, with_facts: bool, count: int = 4) -> list[tuple[str, FloatArray]]:
    """Some words with their maps: those that state facts, or else long ones that look least where the others do."""
    caption = seen.caption
    if with_facts:
        spans = [(m.start, m.end) for m in mentions(caption) if m.fact in ("kind", "size", "side", "place")]
    else:
        words = re.finditer(r"[^\W\d_][\w-]{3,}", caption)
        spans = [word.span() for word in words if word.group().lower() not in _PLAIN]
    maps = {span: weights for span in spans if (weights := seen.at(*span)) is not None}
    if not with_facts and maps:
        mean = np.mean(list(maps.values()), axis=0)
        own = sorted(maps, key=lambda span: -float(np.abs(maps[span] - mean).sum()))
        maps = {span: maps[span] for span in sorted(own[:count])}
    return [(caption[start:end], weights) for (start, end), weights in list(maps.items())[:count]]


def heat(image: Image.Image, weights: FloatArray, side: int = 150) -> Image.Image:
    """The image, at most `side` pixels, with a word's attention over it; the strongest patch is the most orange."""
    small = to_rgb(image)
    small.thumbnail((side, side))
    smooth = Image.fromarray(weights.astype(np.float32)).resize(small.size, Image.Resampling.BICUBIC)
    cover = 0.7 * np.clip(np.asarray(smooth) / weights.max(), 0, 1)[..., None]
    return Image.fromarray((np.asarray(small) * (1 - cover) + _HEAT * cover).astype(np.uint8))
