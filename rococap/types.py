"""The words that every part shares: an example, a batch, a prediction. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


class UserError(Exception):
    """A mistake or a circumstance that the user can mend: shown as one or two lines, never as a traceback."""


@dataclass(frozen=True, slots=True)
class Concept:
    """A UMLS concept of an image; `manual` where a person assigned it."""

    cui: str
    name: str = ""
    manual: bool = False


class LazyImage(Protocol):
    """An image that is opened when it is needed. Picklable; `str()` says where it lies, for messages."""

    def open(self) -> Image:
        """The image as stored, in any mode; raises OSError or UserError if it cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """What a dataset yields: one image and what is known of it. A split may have no captions.

    Attributes:
        group: the patient or article that it is of, where that is known: such images belong into one split.
    """

    id: str
    image: LazyImage
    captions: tuple[str, ...]
    concepts: tuple[Concept, ...] = ()
    attribution: str = ""
    group: str = ""


class Source(Protocol):
    """A dataset. Listing examples reads tables, never pixels."""

    def examples(self, split: Split) -> list[Example]:
        """All usable examples of a split, in the dataset's own order; raises UserError."""
        ...

    def fingerprint(self) -> str:
        """Hex digest that changes when ids, captions or image files change."""
        ...


class Processor(Protocol):
    """Image size and tokenizer of a model: it travels to the data, picklable and without weights."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        ...

    def pixels(self, image: Image) -> np.ndarray:
        """An RGB image resized to `uint8 [3, height, width]`; scaling and normalising happen in the model."""
        ...

    def tokens(self, caption: str, limit: int) -> tuple[list[int], bool]:
        """Token ids of a caption with the end token last, at most `limit` of them; and whether it was cut."""
        ...

    @property
    def pad_token_id(self) -> int:
        """Fills short rows. May equal the end token: the attention mask, never the id, says what is real."""
        ...


@dataclass(slots=True)
class Batch:
    """Examples on their way into a model."""

    ids: Sequence[str]  # empty where a process has no image of a batch: its one row stands in, and counts nothing
    input_ids: Tensor  # int64 [batch, tokens]: caption, end token, padding on the right
    attention_mask: Tensor  # int64 [batch, tokens]: 1 on the caption and its end token
    pixel_values: Tensor | None = None  # uint8 [batch, 3, height, width]
    features: Tensor | None = None  # float [batch, positions, width], in place of pixels where they were kept

    def pin_memory(self) -> Batch:
        """In page-locked memory, from where a GPU copies while it computes. A DataLoader calls it."""
        tensors = {name: getattr(self, name) for name in ("input_ids", "attention_mask", "pixel_values", "features")}
        return replace(self, **{name: t.pin_memory() for name, t in tensors.items() if t is not None})


@dataclass(frozen=True, slots=True)
class Prediction:
    """A caption that a model gave, beside what is known of the image: one line of `predictions/<split>.jsonl`."""

    id: str
    prediction: str
    references: tuple[str, ...] = ()
    concepts: tuple[Concept, ...] = ()
    attribution: str = ""
    group: str = ""  # of its image


# Captions and their examples -> values by name, such as {"cider": 0.4}.
Scorer = Callable[[Sequence[str], Sequence[Example]], dict[str, float]]
