"""The words that every part shares: an example, a batch, a prediction. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
    """A UMLS concept of an image.

    Attributes:
        manual: whether a person assigned it.
        listed: whether it is of the image's own list; ROCOv2 has one of all concepts, and another of the manual ones,
            which might name more.
    """

    cui: str
    name: str = ""
    manual: bool = False
    listed: bool = True


def listed(cuis: Iterable[str]) -> str:
    """Concepts as one text, the prediction of a detector: `C0040405;C0817096`."""
    return ";".join(cuis)


def caption_of(example: Example) -> str | None:
    """The first caption of an example: the one trained on."""
    return example.captions[0] if example.captions else None


def codes(text: str) -> set[str]:
    """The concepts that a text lists, as ImageCLEF's evaluator reads it: an empty text lists the empty concept."""
    return {code.strip().upper() for code in text.split(";")}


def concepts_of(example: Example) -> str:
    """The concepts of an example as one text, each once; empty where it has none."""
    return listed(dict.fromkeys(concept.cui.strip().upper() for concept in example.concepts if concept.listed))


@dataclass(frozen=True)
class Labels:
    """The concepts that a detector knows, the most frequent first.

    Attributes:
        counts: training images that each has.
        images: in training.
    """

    concepts: tuple[Concept, ...]
    counts: tuple[int, ...]
    images: int

    def __len__(self) -> int:
        return len(self.concepts)

    @cached_property
    def cuis(self) -> tuple[str, ...]:
        """Their codes."""
        return tuple(concept.cui for concept in self.concepts)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each code."""
        return {cui: number for number, cui in enumerate(self.cuis)}


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

    def tokens(self, text: str, limit: int, /) -> tuple[list[int], bool]:
        """Token ids of a caption with the end token last, at most `limit` of them; and whether it was cut.

        Of a detector the text is a list of concepts, and a label is a token.
        """
        ...

    @property
    def pad_token_id(self) -> int:
        """Fills short rows. May equal the end token: the attention mask, never the id, says what is real."""
        ...


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of an example beside its text, as a captioner's parts want it.

    Attributes:
        labels: numbers of its concepts.
        prompt: token ids that stand before its caption, and are no part of it.
    """

    labels: tuple[int, ...] = ()
    prompt: tuple[int, ...] = ()


@dataclass(slots=True)
class Batch:
    """Examples on their way into a model. Of a detector the tokens are labels, in any order."""

    ids: Sequence[str]  # empty where a process has no image of a batch: its one row stands in, and counts nothing
    input_ids: Tensor  # int64 [batch, tokens]: caption, end token, padding on the right
    attention_mask: Tensor  # int64 [batch, tokens]: 1 on the caption and its end token, 0 on what stands before it
    pixel_values: Tensor | None = None  # uint8 [batch, 3, height, width]
    features: Tensor | None = None  # float [batch, positions, width], in place of pixels where they were kept
    label_ids: Tensor | None = None  # int64 [batch, labels]: of concepts beside a caption, -1 fills rows
    prompts: Sequence[Sequence[int]] = ()  # before each caption; in `input_ids` too, where the mask leaves them out

    def pin_memory(self) -> Batch:
        """In page-locked memory, from where a GPU copies while it computes. A DataLoader calls it."""
        names = ("input_ids", "attention_mask", "pixel_values", "features", "label_ids")
        tensors = {name: getattr(self, name) for name in names}
        return replace(self, **{name: t.pin_memory() for name, t in tensors.items() if t is not None})


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of an image; of a detector the text is a list of concepts, `C0040405;C0817096`.

    Attributes:
        probabilities: of a detector, float32 [labels].
    """

    text: str
    probabilities: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A caption that a model gave, beside what is known of the image: one line of `predictions/<split>.jsonl`."""

    id: str
    prediction: str
    references: tuple[str, ...] = ()
    concepts: tuple[Concept, ...] = ()
    attribution: str = ""
    group: str = ""  # of its image


# What a model that is always right says of an example; None where that is not known.
Answer = Callable[[Example], str | None]
# Captions and their examples -> values by name, such as {"cider": 0.4}.
Scorer = Callable[[Sequence[str], Sequence[Example]], dict[str, float]]
