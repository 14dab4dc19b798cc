"""Radiology-like images that are drawn, not read: any number of them, with captions whose facts are known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rococap.data.phantom.anatomy import ANATOMY, speckled
from rococap.data.phantom.captions import write_caption
from rococap.data.phantom.concepts import concepts
from rococap.data.phantom.findings import KINDS, NUMBER, RADIUS, add_findings
from rococap.data.phantom.strokes import Picture
from rococap.data.phantom.vocabulary import PLACES, Facts
from rococap.types import SPLITS, Example, Split, UserError

NORMAL = 0.1  # share of images with nothing to find
INVENT, WRITE, DRAW = range(3)  # independent random streams of one image


@dataclass(frozen=True, slots=True)
class PhantomImage:
    """One image of a split. It is drawn when opened, in some milliseconds, and always the same."""

    seed: int
    split: Split
    index: int

    def __str__(self) -> str:
        return f"phantom image {self.index} of {self.split}, seed {self.seed}"

    def facts(self) -> Facts:
        """The truth: modality and kind, and where there is a finding, its count, size, side and place."""
        rng = self._stream(INVENT)

        def pick(values: tuple[str, ...]) -> str:
            return values[rng.integers(len(values))]

        modality = pick(tuple(ANATOMY))
        if rng.random() < NORMAL:
            return {"modality": modality, "kind": "none"}
        finding = {"kind": pick(KINDS[modality]), "count": pick(tuple(NUMBER)), "size": pick(tuple(RADIUS))}
        return {"modality": modality, **finding, "side": pick(("right", "left")), "place": pick(PLACES[modality])}

    def caption(self) -> str:
        """One of many phrasings; it states every fact."""
        return write_caption(self.facts(), self._stream(WRITE))

    def open(self) -> Image.Image:
        """The image, 224 x 224 pixels, mode L."""
        rng = self._stream(DRAW)
        _, picture = self._bodies(rng)
        if self.facts()["modality"] == "ultrasound":
            picture = speckled(picture, rng)
        picture = picture * rng.uniform(0.92, 1.06) + rng.uniform(-0.02, 0.02)
        picture += rng.uniform(0.01, 0.035) * rng.standard_normal(picture.shape, dtype=np.float32)
        return Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))

    def finding(self) -> NDArray[np.bool_]:
        """Where the finding is seen: bool [224, 224], its shadow included; nowhere in a normal image."""
        without, picture = self._bodies(self._stream(DRAW))
        return np.abs(picture - without) > 0.08

    def _bodies(self, rng: np.random.Generator) -> tuple[Picture, Picture]:
        """The body without and with its finding, before the scanner's noise."""
        facts = self.facts()
        anatomy = ANATOMY[facts["modality"]](rng)
        picture = anatomy.picture.copy()
        if facts["kind"] != "none":
            add_findings(picture, facts, anatomy.centres[facts["side"], facts["place"]], rng)
        return anatomy.picture, picture

    def _stream(self, use: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, SPLITS.index(self.split), self.index, use))


class Phantom:
    """A dataset of drawn images.

    Args:
        train, valid, test: how many images each split has. The first n of a split do not change with n.
        seed: another seed, other images.
    """

    def __init__(self, train: int, valid: int, test: int, seed: int) -> None:
        self.counts: dict[Split, int] = {"train": train, "valid": valid, "test": test}
        self.seed = seed
        for split, count in self.counts.items():
            if count < 1:
                raise UserError(f"data.source.{split}={count}: a split of the phantom has at least one image")
        if seed < 0:
            raise UserError(f"data.source.seed={seed}: a seed is not negative")

    def examples(self, split: Split) -> list[Example]:
        """Images, captions and concepts of a split; nothing is drawn yet."""
        images = [PhantomImage(self.seed, split, index) for index in range(self.counts[split])]
        return [
            Example(f"phantom_{split}_{image.index:06}", image, (image.caption(),), concepts(image.facts()))
            for image in images
        ]

    def fingerprint(self) -> str:
        """Changes with the counts, the seed and the code that draws and writes."""
        digest = hashlib.sha256(repr((self.counts, self.seed)).encode())
        for path in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()
