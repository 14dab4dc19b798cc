"""Concepts before each caption: the image's own, as an upper bound, or those that a detector's run found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL.Image import Image

from rococap.recipe.labels import FILE, read_labels
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions
from rococap.runs.probabilities import file_of
from rococap.types import SPLITS, Example, UserError, concepts_of

MOST = 96  # tokens of a prompt
Kind = Literal["gold", "predicted"]
# From an image to the concepts that a run's best detector finds in it.
Detecting = Callable[[Path], Callable[[Image], str]]


@dataclass(frozen=True)
class Prompting:
    """Which concepts stand before a caption.

    Attributes:
        run: of the detector, for predicted ones.
        detecting: opens that detector for images that it has not been asked of yet.
    """

    kind: Kind
    run: Path | None
    detecting: Detecting

    def of(self, example: Example) -> str:
        """The words before an example's caption; none where it has no concepts.

        Raises:
            UserError: the detector was not asked of this image.
        """
        if self.kind == "gold":
            names = {c.cui.strip().upper(): c.name for c in example.concepts if c.name}
            return words(concepts_of(example), names)
        text = self._predicted.get(example.id)
        if text is None:
            raise UserError(
                f"model.concepts=predicted: {self.run} has no prediction for {example.id}.\n{_make(self.run)}"
            )
        return words(text, self._names)

    @property
    def digest(self) -> str:
        """Of what was predicted; empty where the images' own concepts are taken."""
        return "" if self.kind == "gold" else hashlib.sha256(repr(sorted(self._predicted.items())).encode()).hexdigest()

    def of_image(self, image: Image) -> str:
        """The words before the caption of an image that is of no dataset; raises UserError for gold ones."""
        if self.kind == "gold" or self.run is None:
            raise UserError("model.concepts=gold: of these images no concepts are known.\nTake a run without it.")
        return words(self._detect(image), self._names)

    @cached_property
    def _detect(self) -> Callable[[Image], str]:
        assert self.run is not None
        return self.detecting(self.run)

    @cached_property
    def _names(self) -> dict[str, str]:
        assert self.run is not None
        return {c.cui: c.name for c in read_labels(self.run / FILE).concepts}

    @cached_property
    def _predicted(self) -> dict[str, str]:
        """By id, of all splits that the run has predicted."""
        assert self.run is not None
        require_detector(self.run)
        files = [self.run / "predictions" / f"{split}.jsonl" for split in SPLITS]
        return {p.id: p.prediction for file in files if file.is_file() for p in read_predictions(file)}


def require_detector(run: Path) -> None:
    """Raise UserError unless a folder is that of a detector's run."""
    folder = RunFolder(run)
    if not folder.begun:
        raise UserError(f"concepts.run={run} is no run's folder (it has no config.yaml).")
    if not (run / FILE).is_file() or not any((run / file_of(split)).is_file() for split in SPLITS):
        raise UserError(
            f"concepts.run={run} is no finished run of a detector: it has predicted no concepts.\n"
            "Give the folder of one (model=detector)."
        )


def require_predictions(run: Path) -> None:
    """Raise UserError unless a folder is that of a detector's run which has predicted all splits."""
    require_detector(run)
    if missing := [split for split in SPLITS if not (run / "predictions" / f"{split}.jsonl").is_file()]:
        raise UserError(f"concepts.run={run} has not predicted {' and '.join(missing)}.\n{_make(run)}")


def _make(run: Path | None) -> str:
    return (
        "Make those of each split of this data: "
        f"python scripts/evaluate.py --run {run} --split train (then valid, and test)"
    )


def words(text: str, names: dict[str, str]) -> str:
    """`CT, Chest: ` of the codes of these; a code where there is no name."""
    called = [names.get(code) or code for code in text.split(";") if code]
    return f"{', '.join(called)}: " if called else ""
