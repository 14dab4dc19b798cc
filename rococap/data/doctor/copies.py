"""Finds images that stand in a dataset more than once: pixel for pixel, or re-encoded, resized or a little brighter.

Candidates are pairs whose perceptual hashes (64 signs of a cosine transform, after Zauner 2010, "Implementation and
Benchmarking of Perceptual Image Hash Functions") differ in few bits. That alone would call two patients' chest
radiographs one, so each pair is then held against the fine structure of both images, where only copies agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rococap.cli import with_progress
from rococap.data.doctor.look import SIDE

# On 250 real radiographs, copies (JPEG at quality 30, half or 1.7 times the size, squeezed to a square, contrast, gamma
# and brightness changed by a tenth) differ in 6 bits at most and agree to 0.934 at least; of 31,125 pairs that are no
# copies, the closest, one patient's slices and days, agree to 0.632. So do drawn heads (data=phantom), whose skulls are
# one outline, to 0.856: the closest of 844,350 pairs.
MOST_BITS = 8
LEAST_AGREEMENT = 0.9

_BLOCK = 16  # hashes held against all others at once: small, so that intermediate values stay in the processor's cache
_SOME = 4096  # thumbnails, or pairs of them, in floating point at once


@dataclass(frozen=True)
class Pair:
    """Two images that are one, by their places in the list that was searched."""

    first: int
    second: int
    agreement: float  # correlation of their fine structure, 1 where every pixel is equal


def find_pairs(digests: np.ndarray, thumbnails: np.ndarray) -> list[Pair]:
    """All copies among images, as links: of n equal images n - 1 pairs are given, all with the first of them.

    Args:
        digests: uint64 [images], of an image's size and pixels.
        thumbnails: uint8 [images, SIDE, SIDE], grey.
    """
    _, firsts, place = np.unique(digests, return_index=True, return_inverse=True)
    equal = [Pair(int(firsts[p]), image, 1.0) for image, p in enumerate(place) if firsts[p] != image]
    firsts = np.sort(firsts)
    near = [
        Pair(int(firsts[a]), int(firsts[b]), agreement)
        for a, b, agreement in _near(hashes(thumbnails[firsts]), thumbnails[firsts])
    ]
    return sorted(equal + near, key=lambda pair: (pair.first, pair.second))


def groups(pairs: Sequence[Pair]) -> list[tuple[list[int], float]]:
    """Images linked by pairs, each group in order, with the least agreement among its links."""
    parent: dict[int, int] = {}

    def root(image: int) -> int:
        while (above := parent.setdefault(image, image)) != image:
            image = above
        return image

    for pair in pairs:
        a, b = sorted((root(pair.first), root(pair.second)))
        parent[b] = a
    members: dict[int, list[int]] = {}
    for image in sorted(parent):
        members.setdefault(root(image), []).append(image)
    least = dict.fromkeys(members, 1.0)
    for pair in pairs:
        least[root(pair.first)] = min(least[root(pair.first)], pair.agreement)
    return [(images, least[first]) for first, images in members.items()]


def hashes(thumbnails: np.ndarray) -> np.ndarray:
    """uint64 [images]: which of the 64 lowest frequencies of each thumbnail are stronger than its median one."""
    frequency, place = np.arange(8)[:, None], np.arange(SIDE)
    cosines = np.cos(np.pi * (2 * place + 1) * frequency / (2 * SIDE)).astype(np.float32)  # DCT-II
    words = np.empty(len(thumbnails), np.uint64)
    for start in range(0, len(words), _SOME):
        some = slice(start, start + _SOME)
        strengths = (cosines @ thumbnails[some].astype(np.float32) @ cosines.T).reshape(-1, 64)
        median = np.median(strengths[:, 1:], axis=1, keepdims=True)  # the first is the brightness
        words[some] = np.packbits(strengths > median, axis=1).view(np.uint64)[:, 0]
    return words


def _near(words: np.ndarray, thumbnails: np.ndarray) -> Iterator[tuple[int, int, float]]:
    for some in _batches(_candidates(words)):
        agreements = _agreements(thumbnails[some[:, 0]], thumbnails[some[:, 1]])
        for (a, b), agreement in zip(some.tolist(), agreements.tolist(), strict=True):
            if agreement >= LEAST_AGREEMENT:
                yield a, b, round(agreement, 4)


def _candidates(words: np.ndarray) -> Iterator[np.ndarray]:
    """int [pairs, 2] of hashes that differ in few bits, block by block.

    Each is held against each: for 80,000 images some ten seconds, and unlike an index it takes as long for radiographs,
    which crowd together, as for random bits.
    """
    starts = range(0, len(words), _BLOCK)
    for start in with_progress(
        starts, len(words), "images", "comparing images", lambda at: min(_BLOCK, len(words) - at)
    ):
        bits = np.bitwise_count(words[start : start + _BLOCK, None] ^ words[None, start:])
        rows, columns = np.nonzero(bits <= MOST_BITS)
        after = columns > rows
        yield np.stack([rows[after], columns[after]], axis=1) + start


def _batches(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same pairs, `_SOME` at a time."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= _SOME:
            joined = np.concatenate(held)
            cut = len(joined) - len(joined) % _SOME
            yield from np.split(joined[:cut], range(_SOME, cut, _SOME))
            held = [joined[cut:]]
    if held:
        yield np.concatenate(held)


def _agreements(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float [pairs]: correlation of what is left of two thumbnails without their coarse light and dark."""
    a, b = _fine(first), _fine(second)
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    agreements: np.ndarray = np.einsum("ij,ij->i", a, b) / np.maximum(sizes, 1.0)  # an empty image agrees with none
    return agreements


def _fine(thumbnails: np.ndarray) -> np.ndarray:
    """float [images, pixels]: each pixel less the mean of the 5 x 5 around it, edge pixels being repeated outward.

    Of these the signed square root, so that a skull's or a frame's edges do not outweigh what lies within.
    """
    places = np.clip(np.arange(SIDE)[:, None] + np.arange(-2, 3), 0, SIDE - 1)
    mean = np.zeros((SIDE, SIDE), np.float32)  # of five neighbours, as a matrix
    np.add.at(mean, (np.arange(SIDE)[:, None], places), 0.2)
    values = thumbnails.astype(np.float32)
    fine = values - mean @ values @ mean.T
    roots: np.ndarray = np.sign(fine) * np.sqrt(np.abs(fine))
    return roots.reshape(len(values), SIDE * SIDE)
