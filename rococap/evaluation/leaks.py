"""Whether a test score tells of memory: what of a split was trained on, and what a copy of training data scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from rococap.data.doctor.leaks import crossing
from rococap.data.doctor.look import look
from rococap.runs.results import Row
from rococap.types import Example, Split

NEAR = 0.98  # cosine of features: what is less alike is no copy, and is not looked at
SUSPICIOUS = 0.9  # of a score that ends at 1, by captions of the nearest training images
_REPEATS = 0.05  # so many more captions of a split may stand in train than captions of train stand there twice
_OF_ONE = ("facts", "bleu_1", "bleu_4", "meteor", "rouge_l", "rouge_1")


def copied_images(
    asked: tuple[Sequence[Example], Split, Tensor], trained: tuple[Sequence[Example], Tensor], dataset: str
) -> list[tuple[str, str]]:
    """Images of a split that also stand in training, re-encoded perhaps or resized: their ids there and here.

    The nearest training image of each is held against it as the doctor does.

    Args:
        asked: a split's examples, its name, and directions of their features, `[images, width]`.
        trained: likewise, of train.
        dataset: its fingerprint.
    """
    examples, split, directions = asked
    near: dict[int, int] = {}
    for start, rows in zip(range(0, len(directions), 1024), torch.split(directions, 1024), strict=True):
        cosines, places = (rows @ trained[1].T).max(dim=1)
        near |= {start + row: int(places[row]) for row in range(len(rows)) if float(cosines[row]) >= NEAR}
    if not near:
        return []
    held = look([examples[place] for place in near], dataset, split)
    seen = look([trained[0][place] for place in sorted(set(near.values()))], dataset, "train")
    return crossing(seen, held)


def copied_captions(captions: Iterable[str], trained: Iterable[str]) -> tuple[int, float]:
    """How many captions also stand in train word by word, and which share of train's own stand there more than once."""
    known = Counter(map(_plainly, trained))
    repeated = sum(count for count in known.values() if count > 1) / max(1, known.total())
    return sum(_plainly(caption) in known for caption in captions), repeated


def warnings(
    split: Split, images: Sequence[tuple[str, str]], captions: tuple[int, float], of: int, rows: Iterable[Row]
) -> list[str]:
    """What is to be said, a sentence each; nothing where nothing is suspicious.

    Args:
        images: what `copied_images` gave, and `captions` what `copied_captions` did, of so many images.
        rows: scores, of other systems too.
    """
    found = []
    if images:
        seen, here = images[0]
        found.append(
            f"{split}: {len(images):,} of {of:,} images also stand in train ({here} is {seen}): scores are too high; "
            "data.drop_leaks=true leaves them out of training"
        )
    count, repeated = captions
    if of and count / of > repeated + _REPEATS:
        found.append(
            f"{split}: {count:,} of {of:,} captions also stand in train word by word, where {repeated:.0%} of train's "
            "own stand twice: scores may be of memory"
        )
    found += [
        f"{split}: captions of the nearest training images score {row.metric} {row.value:.2f}: {split} is in train, as "
        "good as"
        for row in rows
        if (row.split, row.system, row.slice) == (split, "nearest", "all")
        and row.metric in _OF_ONE
        and row.value >= SUSPICIOUS
    ]
    return found


def _plainly(caption: str) -> str:
    return " ".join(caption.casefold().split())
