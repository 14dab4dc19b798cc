"""What every architecture is to the rest of the program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from rococap.models.concept_head import ConceptHead
from rococap.models.network import Network
from rococap.models.patches import pooled, pooled_grid
from rococap.models.processor import HFProcessor, ImageSettings
from rococap.types import Batch, Example, Processor, Said, UserError, caption_of


class Model(Network, ABC):
    """What a captioner and a detector of concepts share: a vision tower, a loss, and one text an image.

    What an architecture has to say is in names of its modules, see `Network`.

    Attributes:
        answers: what its texts are.
        use: what the exported weights are for, as a README says it.
        settles: whether `settle` chooses anything.
        processor: image size and tokenizer; it goes to the data.
        concepts: a head beside a captioner, which trains on its features too.
        settings: how images are resized and normalised.
        base_code: lines of Python that build `base`, the network before adaptation, from public packages.
        opening_code: lines that follow once `model`, the trained network, is open; mostly empty.
        grid: rows and columns of patches that the decoder sees; None where there is no grid.
    """

    use: str
    answers: Literal["captions", "concepts"]
    settles: bool = False

    processor: Processor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: Any,
        settings: ImageSettings,
        processor: Processor,
        new: frozenset[str],
        base_code: str,
        *,
        grid: tuple[int, int] | None,
        visual_tokens: int | None = None,
    ) -> None:
        """Takes the parts.

        Args:
            grid: rows and columns of patches that the vision tower gives; None where its positions are no grid.
            visual_tokens: patches that the decoder sees, a square number: the grid is averaged down to it. None: all.

        Raises:
            UserError: the grid cannot be averaged to so many.
        """
        super().__init__()
        self.network, self.settings, self.processor = network, settings, processor
        self.new, self.base_code, self.opening_code = new, base_code, ""
        self.concepts: ConceptHead | None = None
        self.full_grid, self.grid = grid, pooled_grid(grid, visual_tokens)
        # Buffers, so that they follow the model to its device; scaling by 1/255 is folded into them.
        for name in ("mean", "std"):
            value = torch.tensor(getattr(settings, name)) / settings.scale
            self.register_buffer(name, value[:, None, None], persistent=False)

    @property
    @abstractmethod
    def vision_config(self) -> dict[str, Any]:
        """The vision tower's config in plain values, and what else tells what `look` does."""

    @property
    def encoding(self) -> dict[str, Any]:
        """What `encode` does, apart from its weights: architecture, normalising, layout of the positions.

        Plain values by name; with the weights, all that an image's features hang on.
        """
        normalising = {"scale": self.settings.scale, "mean": self.settings.mean, "std": self.settings.std}
        return {"architecture": type(self).__name__, "config": self.vision_config, **normalising, "grid": self.grid}

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Run the vision tower.

        Args:
            pixel_values: uint8 [batch, 3, height, width]; scaled and normalised here, on the device.

        Returns:
            features: float [batch, positions, width].
        """
        pixels = (pixel_values.float() - self.mean) / self.std
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tower_trains):
            features = self.look(pixels)
        if self.grid == self.full_grid:
            return features
        assert self.full_grid is not None and self.grid is not None
        return pooled(features, self.full_grid, self.grid)

    @abstractmethod
    def look(self, pixels: Tensor) -> Tensor:
        """What the vision tower makes of normalised pixels [batch, 3, height, width]: [batch, positions, width].

        Positions that are no patches come first, such as a class token.
        """

    @abstractmethod
    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss, and what it is summed over.

        Args:
            features: what `encode` gave, float [batch, positions, width].
            input_ids: int64 [batch, tokens], what the processor made of each image's text, padded on the right.
            attention_mask: int64 [batch, tokens], 1 where a token is real.

        Returns:
            loss: float scalar, in nats, and count: int64 scalar.
        """

    @staticmethod
    @abstractmethod
    def answer(example: Example) -> str | None:
        """What a model that is always right says of an example; None where that is not known."""

    @abstractmethod
    def predict(
        self, features: Tensor, decoding: Mapping[str, int], prompts: Sequence[Sequence[int]] = ()
    ) -> list[Said]:
        """What the model says of each image.

        Args:
            features: float [batch, positions, width].
            decoding: arguments of `Captioner.generate`.
            prompts: ids that stand before each caption; none where left out.
        """

    def settle(self, said: Sequence[Said], examples: Sequence[Example]) -> list[str]:
        """Choose what hangs on a whole validation, such as a threshold; gives the texts that count then."""
        return [each.text for each in said]

    @property
    def made(self) -> tuple[str, ...]:
        """How texts were made of what the network computes, as fields of a signature."""
        return ()

    def facts(self) -> dict[str, Any]:
        """What a checkpoint holds beside the weights, as plain values."""
        return {}

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        """Take them back from a checkpoint; raises UserError where they are of another kind of model."""
        if facts:
            raise UserError("the checkpoint is of a detector of concepts, not of a captioner.\nTake this run's own.")

    @abstractmethod
    def example_code(self, folder: str) -> str:
        """Lines that use the image file IMAGE with `model` and what `save_settings` wrote into a folder."""

    def whole_code(self, folder: str) -> str:
        """Lines that open the whole `model`, as `save_network` wrote it into a folder."""
        return f'from transformers import {self.model_class}\n\nmodel = {self.model_class}.from_pretrained("{folder}")'

    def save_settings(self, folder: Path) -> None:
        """Write what goes with the weights: image processor, tokenizer."""
        self.settings.save(folder)


class Captioner(Model):
    """An image captioner: three verbs and a processor.

    Its `forward` gives the cross-entropy over the real tokens of captions, which end with their end token and are
    shifted in there, once. What a mask leaves out is seen, and not foretold: padding, and a prompt before the caption.

    Attributes:
        prompted: which concepts stand before its captions, gold or predicted, if any.
    """

    use = "To caption an image"
    prompted: str | None = None
    answers = "captions"
    processor: HFProcessor

    @staticmethod
    def answer(example: Example) -> str | None:
        """The first caption: the one trained on."""
        return caption_of(example)

    def predict(
        self, features: Tensor, decoding: Mapping[str, int], prompts: Sequence[Sequence[int]] = ()
    ) -> list[Said]:
        """Captions; those that continue prompts of one length are generated together, so that none is padded."""
        options: dict[str, Any] = dict(decoding)
        if not any(prompts):
            return [Said(caption) for caption in self.generate(features, **options)]
        said = [Said("")] * len(features)
        for length in sorted(set(map(len, prompts))):
            rows = [row for row, prompt in enumerate(prompts) if len(prompt) == length]
            given = torch.tensor([list(prompts[row]) for row in rows], dtype=torch.long, device=features.device)
            for row, caption in zip(rows, self.generate(features[rows], given=given, **options), strict=True):
                said[row] = Said(caption)
        return said

    @abstractmethod
    def generate(
        self, features: Tensor, *, max_new_tokens: int, num_beams: int, given: Tensor | None = None
    ) -> list[str]:
        """Caption each image; greedily if `num_beams` is 1.

        Args:
            features: float [batch, positions, width].
            given: int64 [batch, ids] that each caption continues, and that are no part of it.
        """

    def attend(self, features: Tensor, captions: list[str]) -> Tensor:
        """Where the model looks while it writes each token, mean over layers and heads.

        Returns:
            float [batch, tokens, patches], each row summing to at most 1 (positions that are no patches left out).
        """
        raise TypeError(f"{type(self).__name__} has no cross-attention to show")

    @property
    def made(self) -> tuple[str, ...]:
        said = {"gold": "gold concepts, an upper bound", "predicted": "predicted concepts"}
        return (f"prompt:{said[self.prompted]}",) if self.prompted else ()

    def save_settings(self, folder: Path) -> None:
        """Write what goes with the weights: tokenizer, image processor."""
        self.processor.tokenizer.save_pretrained(folder)
        super().save_settings(folder)


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy, in nats, of `logits [tokens, vocab]` for `labels [tokens]`."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum")


def features_of(captioner: Model, batch: Batch) -> Tensor:
    """What the decoder sees of a batch, float [batch, positions, width]: computed, or as it was kept."""
    if batch.features is not None:
        return batch.features.float()
    assert batch.pixel_values is not None
    return captioner.encode(batch.pixel_values)


def captioner_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """A checkpoint's weights by the names that `Model.load_trainable_state` takes.

    Raises:
        UserError: it has none.
    """
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise UserError("the checkpoint holds no weights by name: it is none of rococap's.\nTake this run's own.")
    return {name.removeprefix("captioner."): value for name, value in checkpoint["state_dict"].items()}
