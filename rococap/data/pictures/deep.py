"""Values of more than 8 bits, as 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

FEW = 32  # grey levels of 256: what a 13-bit picture has left, where its values lie far from 0 or beside a marker
SHARES = (0.005, 0.995)  # of the pixels, between which such a picture is shown
_LOST = 4  # times as many values as levels are a picture, fewer are its few values
_FAR = 0.25  # of the whole range: values behind such a gap are no part of the picture
_MARKERS = 8  # that many values at most are markers, be they ever so high


@dataclass(frozen=True)
class Deep:
    """What a file stores.

    Attributes:
        values: [height, width], or [height, width, 3 or 4] of RGB or CMYK.
        alpha: [height, width]; None where all is opaque.
        white_is_zero: of grey ones.
    """

    values: np.ndarray
    alpha: np.ndarray | None = None
    white_is_zero: bool = False


def flatten(deep: Deep) -> tuple[Image.Image, bool]:
    """As L, RGB, CMYK or one of them with alpha; and whether a window was chosen, see `eight_bits`."""
    eight, windowed = eight_bits(deep.values)
    if deep.white_is_zero:
        eight = np.where(np.isnan(deep.values), 0, 255 - eight).astype(np.uint8)
    mode = {2: "L"}.get(eight.ndim) or {3: "RGB", 4: "CMYK"}[eight.shape[2]]
    image = Image.frombytes(mode, (eight.shape[1], eight.shape[0]), eight.tobytes())
    if deep.alpha is not None:
        image.putalpha(Image.fromarray(_scaled(deep.alpha, *_bits_in_use(deep.alpha))))
    return image, windowed


def eight_bits(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """uint8 of the same shape, and whether values were cut off at either end.

    Whole numbers are scaled by the fewest bits that hold the largest one: a 12-bit radiograph in a 16-bit file becomes
    neither black nor stretched by its own extremes. Floats have no such range: least to greatest finite value.
    Where that leaves a few levels only of many values (an offset, a marker, signed values written as unsigned), the
    picture is shown between two percentiles of its own.
    """
    low, span = _bits_in_use(values) if values.dtype.kind in "iub" else _finite_range(values)
    eight = _scaled(values, low, span)
    levels = _levels(eight)
    if levels > FEW:
        return eight, False
    signed, low, span = _window(values, levels)
    shown = _scaled(signed, low, span) if span else eight
    return (shown, True) if _levels(shown) > levels else (eight, False)


def _bits_in_use(values: np.ndarray) -> tuple[float, float]:
    low = min(0, int(values.min()))
    return float(low), float(2 ** max(8, (int(values.max()) - low).bit_length()) - 1)


def _finite_range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("none of its values is a finite number")
    low, high = float(finite.min()), float(finite.max())
    if low == high and finite.size < values.size:
        low -= 1.0  # what is finite stands out from what is not
    return low, high - low


def _scaled(values: np.ndarray, low: float, span: float) -> np.ndarray:
    above = values.astype(np.float64) - low
    within = np.clip(np.nan_to_num(above, nan=0.0, posinf=span, neginf=0.0), 0.0, span)
    return np.rint(within * (255 / span if span else 0.0)).astype(np.uint8)


def _levels(eight: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(eight.ravel(), minlength=256)))


def _window(values: np.ndarray, levels: int) -> tuple[np.ndarray, float, float]:
    """The values, signed if that is what they are, with the low end and the span to show; a span of 0: as it was."""
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if len(distinct) < _LOST * levels:
        return values, 0.0, 0.0
    shown = _together(distinct)
    if values.dtype.kind == "u":
        kind = np.dtype(f"i{values.dtype.itemsize}")
        order = np.argsort(distinct.astype(kind))
        together = _together(distinct.astype(kind)[order])
        if together.stop - together.start > shown.stop - shown.start + _MARKERS:
            values, distinct, counts, shown = values.astype(kind), distinct.astype(kind)[order], counts[order], together
    below = np.cumsum(counts[shown])
    low, high = (float(distinct[shown][np.searchsorted(below, share * below[-1])]) for share in SHARES)
    if low == high:
        low, high = float(distinct[shown][0]), float(distinct[shown][-1])
    return values, low, high - low


def _together(distinct: np.ndarray) -> slice:
    """Where the most of these values, in order, lie with no wide gap between them."""
    start, stop = 0, len(distinct)
    while stop - start > 1:
        steps = np.diff(distinct[start:stop].astype(np.float64))
        cuts = np.flatnonzero(steps > _FAR * steps.sum()) + 1
        if not len(cuts) or len(cuts) == len(steps):
            break
        edges = [0, *cuts.tolist(), stop - start]
        longest = int(np.argmax(np.diff(edges)))
        start, stop = start + edges[longest], start + edges[longest + 1]
    return slice(start, stop)
