"""Whether attention lies on the finding: on the phantom it is known where that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image

from rococap.data.phantom.source import PhantomImage
from rococap.metrics.base import FloatArray
from rococap.metrics.bootstrap import RESAMPLES, SEED, interval
from rococap.metrics.facts import mentions
from rococap.report.attention import Attention
from rococap.report.shown import Shown

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


def with_finding(shown: Sequence[Shown]) -> dict[str, PhantomImage]:
    """By id, the first 50 images whose finding's place is known; none of other data than the phantom."""
    images = ((one.example.id, one.example.image) for one in shown)
    return dict(
        islice(
            (
                (identity, image)
                for identity, image in images
                if isinstance(image, PhantomImage) and image.facts()["kind"] != "none"
            ),
            _IMAGES,
        )
    )


def on_finding(images: Mapping[str, PhantomImage], looks: Mapping[str, Attention]) -> list[OnFinding]:
    """How the attention of each fact's word lies, over images that `with_finding` gave; both by id."""
    kinds = [image.facts()["modality"] for image in images.values()]
    covers = np.stack([_cover(image, looks[identity].tokens.shape[1:]) for identity, image in images.items()])
    found: dict[str, list[tuple[float, float, float]]] = {}
    for index, seen in enumerate(looks[identity] for identity in images):
        others = [other for other, kind in enumerate(kinds) if kind == kinds[index] and other != index]
        stated = {m.fact: (m.start, m.end) for m in mentions(seen.caption) if m.value != "none"}
        for fact, (start, end) in stated.items():
            weights = seen.at(start, end)
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
