"""What each kept thing hangs on. Where any of its fields is another, it is made anew; nowhere else is a key made.

A digest covers all fields of a key, by their names: a field that is added counts at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from rococap.types import Processor

# Raised where the program makes something else of the same fields; what was kept before is then left aside.
FORMATS = {
    "Images": 2, "Features": 2, "Looks": 2, "Copies": 1, "Captions": 3, "Scores": 1, "Parts": 1, "Checksums": 1,
    "Shard": 1, "ShardIndex": 1,
}  # fmt: skip
_SHOWN = 16  # hex digits that name a folder


@dataclass(frozen=True)
class Key:
    """The fields that a kept thing hangs on."""

    def digest(self) -> str:
        """Hex digest of the fields, of those of keys within them, and of the formats of all of these."""
        kind = type(self).__name__
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: value.digest() if isinstance(value, Key) else value for name, value in values.items()}
        return hashlib.sha256(json.dumps([kind, FORMATS[kind], plain], sort_keys=True).encode()).hexdigest()[:_SHOWN]


class OfDataset(Key):
    """A key of what has a folder in the cache, whose name begins with the dataset's fingerprint, for people."""

    @property
    def hint(self) -> str:
        """What people tell such folders apart by; empty where nothing short does."""
        return ""

    @property
    def folder(self) -> str:
        """The folder's name."""
        return "-".join(filter(None, (self.dataset[:_SHOWN], self.hint, self.digest())))

    if TYPE_CHECKING:

        @property
        def dataset(self) -> str: ...


@dataclass(frozen=True)
class Checksums(Key):
    """Checksums of a dataset's image files. `place`: where the dataset lies."""

    place: str


@dataclass(frozen=True)
class Shard(Key):
    """A shard, fetched and unpacked. `url`: where it lies."""

    url: str


@dataclass(frozen=True)
class ShardIndex(Key):
    """What a shard holds. `state`: what tells that it is still the same; None where nothing does."""

    shard: Shard
    state: str | None


@dataclass(frozen=True)
class Images(OfDataset):
    """Images decoded and resized.

    Attributes:
        dataset: its fingerprint.
        size: height and width, in pixels.
        method: digest of what the processor makes of a picture of noise, which says how it resizes.
    """

    dataset: str
    size: tuple[int, int]
    method: str

    @staticmethod
    def of(dataset: str, processor: Processor) -> Images:
        """Of a dataset, as a processor makes them ready."""
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (61, 97, 3), dtype=np.uint8))
        method = hashlib.sha256(processor.pixels(noise).tobytes()).hexdigest()
        return Images(dataset, processor.image_size, method)

    @property
    def hint(self) -> str:
        return f"{self.size[0]}x{self.size[1]}"


@dataclass(frozen=True)
class Features(OfDataset):
    """What a frozen vision tower makes of images.

    Attributes:
        images: the pixels that it sees.
        weights: digest of its weights.
        encoding: what else it does: architecture, scaling and normalising, layout of the positions.
        arithmetic: fp32, fp16 or bf16.
        dtype: in which the features are kept.
    """

    images: Images
    weights: str
    encoding: Mapping[str, Any]
    arithmetic: str
    dtype: str

    @property
    def dataset(self) -> str:
        return self.images.dataset

    @property
    def hint(self) -> str:
        return self.dtype


@dataclass(frozen=True)
class Looks(OfDataset):
    """What the doctor has seen of a dataset's images. `dataset`: its fingerprint."""

    dataset: str


@dataclass(frozen=True)
class Copies(Key):
    """Images that stand in a dataset more than once. `looks`: what they were compared by."""

    looks: Looks


@dataclass(frozen=True)
class Captions(OfDataset):
    """Captions of the systems that a model is held against.

    Attributes:
        dataset: its fingerprint.
        chosen: the settings that say which of its examples are used.
        weights: digest of the vision tower before adaptation.
        encoding: see `Features`.
        model: the settings that the base is built from, those of its precision and of decoding.
        arithmetic: fp32, fp16 or bf16.
        device: cpu, cuda or mps.
    """

    dataset: str
    chosen: Mapping[str, Any]
    weights: str
    encoding: Mapping[str, Any]
    model: Mapping[str, Any]
    arithmetic: str
    device: str


@dataclass(frozen=True)
class Parts(Key):
    """A split's captions by a run, in the making.

    Attributes:
        dataset: its fingerprint.
        weights: digest of the checkpoint.
        settings: those of the recipe that the network and its captions hang on.
        arithmetic: fp32, fp16 or bf16.
        device: cpu, cuda or mps.
        code: digest of the package.
    """

    dataset: str
    weights: str
    settings: Mapping[str, Any]
    arithmetic: str
    device: str
    code: str


@dataclass(frozen=True)
class Scores(Key):
    """Scores of such captions. `signatures`: how each score is made and of which references, by the metric's key."""

    signatures: Mapping[str, str]
