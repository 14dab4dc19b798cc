"""Which images a dataset holds more than once, and which of them are leaks: seen in training, and tested on."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rococap.data.doctor.copies import find_pairs, groups
from rococap.data.doctor.look import Looks, look
from rococap.data.kept import keys
from rococap.data.kept.files import write_whole
from rococap.data.kept.folders import REMEDY, cache_folder
from rococap.data.splits import available
from rococap.types import Example, Source, Split

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copies:
    """One image that stands in a dataset several times."""

    members: tuple[tuple[Split, str], ...]  # split and id, train first
    agreement: float  # see `copies.Pair`; the least of the group

    def of(self, split: Split) -> list[str]:
        """The ids of a split."""
        return [name for where, name in self.members if where == split]


def leaked(copies: Sequence[Copies], seen: Split, held: Split) -> tuple[list[str], list[str]]:
    """Ids of `seen` that also stand in `held`, and the ids of `held` where they do."""
    both = [group for group in copies if group.of(seen) and group.of(held)]
    return [name for group in both for name in group.of(seen)], [name for group in both for name in group.of(held)]


def crossing(seen: Looks, held: Looks) -> list[tuple[str, str]]:
    """Ids of images of one split, and of those of another that are copies of them."""
    names = [*((0, name) for name in seen.ids), *((1, name) for name in held.ids)]
    rows = np.concatenate([seen.rows, held.rows])
    found = []
    for images, _ in groups(find_pairs(rows["digest"], rows["thumbnail"])):
        ours = [names[image][1] for image in images if not names[image][0]]
        found += [(ours[0], names[image][1]) for image in images if names[image][0] and ours]
    return found


def without_leaks(examples: list[Example], source: Source, dataset: str) -> list[Example]:
    """Training examples without those whose image also stands in valid or test.

    Args:
        dataset: its fingerprint. What is found is kept for it, by scripts/prepare.py too.

    Raises:
        UserError: the cache cannot be written.
    """
    copies = _kept(dataset)
    if copies is None:
        there, _ = available(source)
        copies = search({split: look(there[split], dataset, split) for split in there}, dataset)
    leaks = {name for held in ("valid", "test") for name in leaked(copies, "train", held)[0]}
    left = [example for example in examples if example.id not in leaks]
    dropped = len(examples) - len(left)
    log.info("train: %d images that also stand in valid or test are left out (data.drop_leaks)", dropped)
    return left


def search(looks: Mapping[Split, Looks], dataset: str) -> list[Copies]:
    """Find all copies within and between splits, and keep the result for training."""
    names = [(split, name) for split in looks for name in looks[split].ids]
    rows = np.concatenate([looks[split].rows for split in looks])
    found = groups(find_pairs(rows["digest"], rows["thumbnail"]))
    copies = [Copies(tuple(names[image] for image in images), agreement) for images, agreement in found]
    content = [{"members": group.members, "agreement": group.agreement} for group in copies]
    write_whole(_file(dataset), json.dumps(content), REMEDY)
    return copies


def _kept(dataset: str) -> list[Copies] | None:
    """What `search` found before; None if there is nothing, or nothing whole."""
    try:
        content = json.loads(_file(dataset).read_bytes())
        return [Copies(tuple((s, n) for s, n in group["members"]), float(group["agreement"])) for group in content]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged: duplicates are searched anew (%s)", _file(dataset), error)
        return None


def _file(dataset: str) -> Path:
    looks = keys.Looks(dataset)
    return cache_folder("doctor", looks.folder, "copies") / f"copies-{keys.Copies(looks).digest()}.json"
