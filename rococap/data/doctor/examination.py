"""Everything that can be said of a copy of a dataset before a model sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rococap.data.doctor.editions import edition
from rococap.data.doctor.leaks import Copies, search
from rococap.data.doctor.look import Looks, look
from rococap.data.image import FileImage, ZipImage
from rococap.data.shards.image import ShardImage
from rococap.data.splits import SplitSource, available
from rococap.types import Example, Source, Split, UserError

BLANK = 2.0  # standard deviation of grey levels below which an image shows nothing
TINY = 64  # pixels, of the shorter side
LONG = 4.0  # times as long as wide


@dataclass(frozen=True)
class Examined:
    """A split.

    Attributes:
        examples: the usable ones, unreadable images included.
        problems: what the tables and folders lack or repeat -> ids or lines.
        places: folder or archive -> how many images lie there; empty where they are no files.
        words, tokens: int [captions], the length of each; tokens with the end token, None without a tokenizer.
        odd: what is odd about an image -> ids.
    """

    examples: list[Example]
    looks: Looks
    problems: Mapping[str, list[str]]
    places: dict[str, int]
    words: np.ndarray
    tokens: np.ndarray | None
    odd: dict[str, list[str]]


@dataclass(frozen=True)
class Examination:
    """A dataset.

    Attributes:
        missing: split -> why it cannot be had.
        repeated: caption -> split and id of each image that has it, where these are several; the most first.
    """

    fingerprint: str
    edition: str
    splits: dict[Split, Examined]
    missing: dict[Split, str]
    copies: list[Copies]
    repeated: dict[str, list[tuple[Split, str]]]


def examine(source: Source, tokens: Callable[[str], int] | None) -> Examination:
    """Look at all images and captions of a dataset.

    Args:
        tokens: how many a caption has; None if no tokenizer is at hand.

    Raises:
        UserError: no split can be had, or the cache cannot be written.
    """
    there, missing = available(source)
    if not there:
        raise next(iter(missing.values()))
    dataset = source.fingerprint()
    splits = {split: _examine(source, split, examples, dataset, tokens) for split, examples in there.items()}
    if not any(examined.looks.ids for examined in splits.values()):
        first = next(reason for examined in splits.values() for reason in examined.looks.unreadable.values())
        raise UserError(f"No image of this copy can be read; the first: {first}")
    copies = search({split: examined.looks for split, examined in splits.items()}, dataset)
    ids = {split: [example.id for example in examples] for split, examples in there.items()}
    reasons = {split: str(error) for split, error in missing.items()}
    return Examination(dataset, edition(ids), splits, reasons, copies, _repeated(there))


def _examine(
    source: Source, split: Split, examples: list[Example], dataset: str, tokens: Callable[[str], int] | None
) -> Examined:
    captions = [caption for example in examples for caption in example.captions]
    looks = look(examples, dataset, split)
    return Examined(
        examples,
        looks,
        source.problems(split) if isinstance(source, SplitSource) else {},
        dict(Counter(place for example in examples if (place := _place(example)))),
        np.array([len(caption.split()) for caption in captions], dtype=np.int64),
        np.array([tokens(caption) for caption in captions], dtype=np.int64) if tokens else None,
        {what: names for what, names in _odd(looks).items() if names},
    )


def _place(example: Example) -> str | None:
    match example.image:
        case FileImage(path):
            return str(path.parent)
        case ZipImage(archive, member):
            return str(archive / Path(member).parent)
        case ShardImage(shard):
            return str(shard).rpartition("/")[0] or "."
    return None


def _odd(looks: Looks) -> dict[str, list[str]]:
    rows = looks.rows
    spread = rows["thumbnail"].std(axis=(1, 2), dtype=np.float32)
    shorter, longer = np.minimum(rows["width"], rows["height"]), np.maximum(rows["width"], rows["height"])
    found = {
        "blank": spread < BLANK,
        f"smaller than {TINY} pixels": shorter < TINY,
        f"more than {LONG:.0f} times as long as wide": longer > LONG * shorter,
        "shown between two percentiles of their values, for want of grey levels": rows["windowed"],
    }
    return {what: [looks.ids[image] for image in np.flatnonzero(where)] for what, where in found.items()}


def _repeated(splits: Mapping[Split, Sequence[Example]]) -> dict[str, list[tuple[Split, str]]]:
    holders: dict[str, list[tuple[Split, str]]] = {}
    for split, examples in splits.items():
        for example in examples:
            for caption in example.captions:
                holders.setdefault(" ".join(caption.split()), []).append((split, example.id))
    several = ((caption, names) for caption, names in holders.items() if len(names) > 1)
    return dict(sorted(several, key=lambda entry: -len(entry[1])))
