"""Deterministic parts of a split: the same on every machine, and each inside every larger one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction

from rococap.types import Example, UserError


def subset(examples: Sequence[Example], fraction: float, seed: int) -> list[Example]:
    """The first ceil(fraction * N) examples by the SHA-256 of seed and group, or id, in their own order.

    Images of one patient or article come together: there may be a few more, so that none is parted.

    Raises:
        UserError: the fraction is not in (0, 1], or there are no examples to take it of.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"data.fraction={fraction} is no share of the training images: 0 < data.fraction <= 1.")
    # 0.07 * 100 is a little more than 7 as a float, so the number is taken as it was written.
    count = math.ceil(Fraction(str(fraction)) * len(examples))
    if count == 0:
        raise UserError(f"data.fraction={fraction} of {len(examples)} training images leaves none.")
    ranks = sorted(range(len(examples)), key=lambda index: _key(examples[index].group or examples[index].id, seed))
    last = examples[ranks[count - 1]].group
    while last and count < len(ranks) and examples[ranks[count]].group == last:
        count += 1
    return [examples[index] for index in sorted(ranks[:count])]


def fixed_sample(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """The first `count` examples by the SHA-256 of seed and id, or all if there are fewer, in their own order."""
    ranks = sorted(range(len(examples)), key=lambda index: _key(examples[index].id, seed))
    return [examples[index] for index in sorted(ranks[:count])]


def _key(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
