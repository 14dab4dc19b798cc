"""What datasets that are listed in tables share: each split is read once, and what is odd in it is told once."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rococap.data.complete import Missing
from rococap.data.image import StoredImage
from rococap.data.kept.checksums import checksums
from rococap.data.pictures.dicom import USUAL, View
from rococap.types import SPLITS, Example, Source, Split, UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A split as it was read.

    Attributes:
        problems: what was left out or odd -> which ids or lines.
        missing: ids without an image, and lines that cannot be read.
    """

    examples: list[Example]
    problems: dict[str, list[str]]
    missing: Sequence[Missing] = ()


class SplitSource(ABC):
    """A Source under a folder, `root`; null where the dataset has another place by itself.

    Args:
        dicom_frame: of DICOM files with several, the `first` or the `middle` one.
        burned_in: read those DICOM files too that say that names or the like are drawn into their pixels.
    """

    def __init__(self, root: str | None, dicom_frame: str = "first", burned_in: bool = False) -> None:
        self.view = View(dicom_frame, burned_in)
        self.root = Path(root).expanduser() if root else None
        self._loaded: dict[Split, Loaded] = {}

    @abstractmethod
    def load(self, split: Split) -> Loaded:
        """Read a split's tables, never pixels; raises UserError where they are missing or hold nothing."""

    def has(self, split: Split) -> bool:
        """Whether this copy has a split at all."""
        return True

    def fingerprint(self) -> str:
        """See `fingerprint`, of the splits that are there."""
        place = str(self.root.resolve()) if self.root else type(self).__name__
        return fingerprint({split: self.examples(split) for split in SPLITS if self.has(split)}, place)

    def examples(self, split: Split) -> list[Example]:
        """A split in the dataset's own order; raises UserError where it cannot be had."""
        return self.loaded(split).examples

    def problems(self, split: Split) -> Mapping[str, list[str]]:
        """What was left out or odd: a description -> the ids or lines concerned."""
        return self.loaded(split).problems

    def missing(self, split: Split) -> Sequence[Missing]:
        """How many of a split are not there, by what they lack."""
        return self.loaded(split).missing

    def loaded(self, split: Split) -> Loaded:
        """A split, read on first use; its problems are counted in the log then."""
        if split not in SPLITS:
            raise UserError(f"There is no split {split!r}: choose one of {', '.join(SPLITS)}.")
        if split not in self._loaded:
            loaded = self.load(split)
            self._loaded[split] = replace(loaded, examples=[self._viewed(example) for example in loaded.examples])
            for problem, names in self._loaded[split].problems.items():
                log.warning("%s: %s %s (first: %s)", split, f"{len(names):,}", problem, ", ".join(names[:3]))
        return self._loaded[split]

    def _viewed(self, example: Example) -> Example:
        image = example.image
        if self.view == USUAL or not isinstance(image, StoredImage):
            return example
        return replace(example, image=replace(image, view=self.view))  # type: ignore[type-var]  # all are dataclasses


def fingerprint(splits: Mapping[Split, Sequence[Example]], place: str) -> str:
    """Hex digest of all that examples hold and of their images' bytes, wherever these lie.

    Args:
        splits: whose images lie in files.
        place: the dataset's name among those whose images were read before.
    """
    images = [example.image for examples in splits.values() for example in examples]
    return digest(splits, checksums(images, place))


def digest(splits: Mapping[Split, Sequence[Example]], checksums_of: Sequence[str]) -> str:
    """Hex digest of all that examples hold, and of the checksums of their images' bytes, in their order."""
    examples = [(split, example) for split, all_of_it in splits.items() for example in all_of_it]
    digest = hashlib.sha256()
    for (split, e), checksum in zip(examples, checksums_of, strict=True):
        if (view := getattr(e.image, "view", USUAL)) != USUAL:
            digest.update(repr(view).encode())
        concepts = [(concept.cui, concept.name, concept.manual) for concept in e.concepts]
        digest.update(repr((split, e.id, e.captions, concepts, e.attribution, e.group, checksum)).encode())
    return digest.hexdigest()


def available(source: Source) -> tuple[dict[Split, list[Example]], dict[Split, UserError]]:
    """The splits that a copy of a dataset has, and why the others cannot be had."""
    there: dict[Split, list[Example]] = {}
    missing: dict[Split, UserError] = {}
    for split in SPLITS:
        try:
            there[split] = source.examples(split)
        except UserError as error:
            missing[split] = error
    return there, missing
