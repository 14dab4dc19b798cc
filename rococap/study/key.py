"""What a sheet does not say: which image each number is, and which system said each caption."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rococap.compare.gather import SPLIT
from rococap.compare.runs import Run
from rococap.data.kept.files import write_whole
from rococap.metrics.text import one_line
from rococap.runs.digests import damaged, read_signed_json, signed_json
from rococap.runs.predictions import read_predictions
from rococap.runs.probabilities import file_of as probabilities_file
from rococap.types import Prediction, UserError

REFERENCE = "reference"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption of an image, and the systems that gave it: who says the same is shown once."""

    text: str
    systems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An image with its captions, in the order in which they are shown."""

    id: str
    group: str  # the patient or article that it is of; empty where none is known
    captions: tuple[Caption, ...]


@dataclass(frozen=True)
class Key:
    """A study: its images in the order in which they are shown.

    Attributes:
        salt: random, so that no one finds the orders by trying, with this program or by the code.
    """

    systems: tuple[str, ...]
    salt: str
    entries: tuple[Entry, ...]

    @cached_property
    def text(self) -> str:
        """As it is kept: JSON that holds a digest of itself."""
        return signed_json(asdict(self))

    @property
    def code(self) -> str:
        """What a sheet bears, and no other study's does: of the digest the first 16 digits."""
        return str(json.loads(self.text)["digest"])[:16]

    @cached_property
    def rows(self) -> list[tuple[str, str]]:
        """Number and letter of every caption, as a sheet lists them."""
        return [(str(n), LETTERS[c]) for n, entry in enumerate(self.entries, 1) for c in range(len(entry.captions))]

    def write(self, path: Path) -> None:
        """Keep it. Raises UserError where a key is already: sheets that are out would be worth nothing without it."""
        if path.exists():
            raise UserError(f"{path} is there: the key of another study.\nGive --out another folder, or move it away.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.text)


def read_key(path: Path) -> Key:
    """Raises UserError where there is none, or it was changed."""
    if not path.is_file():
        raise UserError(f"{path} is not there: --out names the folder of the study, which holds its key.")
    content = read_signed_json(path)
    try:
        entries = tuple(_entry(**each) for each in content["entries"])
        return Key(tuple(content["systems"]), str(content["salt"]), entries)
    except (KeyError, TypeError) as error:
        raise UserError(damaged(path, f"it is no key of a study ({error})")) from error


def _entry(id: str, group: str, captions: Sequence[dict[str, Any]]) -> Entry:
    return Entry(id, group, tuple(Caption(each["text"], tuple(each["systems"])) for each in captions))


def systems_of(runs: Sequence[Run], said: Sequence[Prediction]) -> tuple[str, ...]:
    """The names of who is compared: the reference, where images have one, and the runs."""
    names = [f"run {run.label}" if run.label == REFERENCE else run.label for run in runs]
    with_reference = any(text.strip() for text in said[0].references[:1])
    systems = ([REFERENCE] if with_reference else []) + names
    if len(systems) < 2:
        raise UserError(f"{runs[0].folder.path}: its images have no references, and one run has nothing beside it.")
    if len(systems) > len(LETTERS):
        raise UserError(f"{len(systems)} captions of an image are too many for a reader: give fewer runs.")
    return tuple(systems)


def captions_of(runs: Sequence[Run]) -> list[list[Prediction]]:
    """Of each run its captions of the test split, in the order of the first run's.

    Raises:
        UserError: a run has none, or gives concepts; or other images or references than the first.
    """
    said = [_captions(run) for run in runs]
    first = {each.id: each for each in said[0]}
    for run, captions in zip(runs[1:], said[1:], strict=True):
        theirs = {each.id: each for each in captions}
        odd = sorted(first.keys() ^ theirs.keys())
        if odd:
            raise UserError(
                f"{run.folder.path} has other images of {SPLIT} than {runs[0].folder.path}: {len(odd):,} that only one "
                f"of them has, such as {', '.join(odd[:3])}.\nA study is of the same images: give runs of one dataset."
            )
        odd = [name for name in first if first[name].references != theirs[name].references]
        if odd:
            raise UserError(
                f"{run.folder.path} has other references than {runs[0].folder.path} for {len(odd):,} images, such as "
                f"{', '.join(odd[:3])}.\nGive runs of one dataset."
            )
    return [[theirs[name] for name in first] for theirs in ({p.id: p for p in captions} for captions in said)]


def _captions(run: Run) -> list[Prediction]:
    name, place = f"predictions/{SPLIT}.jsonl", run.folder.path
    if (place / probabilities_file(SPLIT)).is_file():
        raise UserError(f"{place} gives concepts; a reader study is of captions.")
    if not (place / name).is_file():
        raise UserError(
            f"{place / name} is not there.\nMake it: python scripts/evaluate.py --run {place} --split {SPLIT}"
        )
    run.folder.verify(name)
    return read_predictions(place / name)


def draw(runs: Sequence[Run], said: Sequence[Sequence[Prediction]], images: int, salt: str) -> Key:
    """Choose images at random, and the order of their captions, each by chance.

    Args:
        said: of each run, see `captions_of`.
        images: how many; all where there are fewer.
        salt: random; it is all that chance hangs on.
    """
    chance, systems = random.Random(salt), systems_of(runs, said[0])
    chosen = chance.sample(range(len(said[0])), min(images, len(said[0])))
    entries = []
    for place in chosen:
        known = said[0][place]
        texts = [_words(known.references[0])] if systems[0] == REFERENCE else []
        texts += [_words(captions[place].prediction) for captions in said]
        givers: dict[str, list[str]] = {}
        for system, text in zip(systems, texts, strict=True):
            givers.setdefault(text, []).append(system)
        captions = [Caption(text, tuple(names)) for text, names in givers.items()]
        chance.shuffle(captions)
        entries.append(Entry(known.id, known.group, tuple(captions)))
    return Key(systems, salt, tuple(entries))


def _words(text: str) -> str:
    """A caption whose blanks tell nothing: references have them where models have none."""
    return " ".join(one_line(text).split())
