"""Whether attention lies on the finding: on the phantom it is known where that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rococap.data.phantom import PhantomImage
from rococap.metrics.base import FloatArray
from rococap.metrics.facts import mentions
from rococap.metrics.stats import RESAMPLES, SEED, interval
from rococap.models.base import Captioner
from rococap.report.attention import attention
from rococap.types import Example

_IMAGES = 50  # enough for a narrow interval, and some seconds


@dataclass(frozen=True, slots=True)
class OnFinding:
    """Means over the images whose captions have a word of this fact, as shares of 1, and the 95 % interval of `share`.

    Attributes:
        share: of the word's attention, that on the finding.
        area: of the image, that of the finding: what attention without direction would give.
        elsewhere: of the word's attention, that on the findings of the other images of this modality: what looking
            at the usual places would give.
    """

    fact: str
    images: int
    share: float
    low: float
    high: float
    area: float
    elsewhere: float


def on_finding(captioner: Captioner, examples: Sequence[Example], captions: Sequence[str]) -> list[OnFinding]:
    """How the attention of each fact's word lies, over the first 50 images with a finding; nothing for other data."""
    chosen = [
        (example, example.image, caption)
        for example, caption in zip(examples, captions, strict=True)
        if isinstance(example.image, PhantomImage) and example.image.facts()["kind"] != "none"
    ][:_IMAGES]
    if not chosen:
        return []
    kinds = [image.facts()["modality"] for _, image, _ in chosen]
    seen = list(attention(captioner, [e for e, _, _ in chosen], [caption for _, _, caption in chosen]))
    covers = np.stack([_cover(image, seen[0].tokens.shape[1:]) for _, image, _ in chosen])  # [images, rows, columns]
    found: dict[str, list[tuple[float, float, float]]] = {}
    for index, looks in enumerate(seen):
        others = [other for other, kind in enumerate(kinds) if kind == kinds[index] and other != index]
        stated = {m.fact: (m.start, m.end) for m in mentions(looks.caption) if m.value != "none"}
        for fact, (start, end) in stated.items():
            weights = looks.at(start, end)
            if weights is not None and others:
                on_each = np.einsum("rc,irc->i", weights, covers)
                row = (float(on_each[index]), float(covers[index].mean()), float(on_each[others].mean()))
                found.setdefault(fact, []).append(row)
    return [_summary(fact, np.array(rows)) for fact, rows in found.items()]


def _cover(image: PhantomImage, shape: tuple[int, ...]) -> FloatArray:
    """How much of each patch the finding covers, `[rows, columns]`; a patch's attention is spread evenly over it."""
    rows, columns = shape
    mask = Image.fromarray(image.finding().astype(np.float32))
    return np.asarray(mask.resize((columns, rows), Image.Resampling.BOX), dtype=np.float64)


def _summary(fact: str, rows: FloatArray) -> OnFinding:
    draws = np.random.default_rng(SEED).integers(len(rows), size=(RESAMPLES, len(rows)))
    low, high = interval(rows[draws, 0].mean(axis=1))
    share, area, elsewhere = rows.mean(axis=0).tolist()
    return OnFinding(fact, len(rows), share, float(low), float(high), area, elsewhere)
