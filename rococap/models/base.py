"""What every architecture is to the rest of the program."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rococap.types import Batch, Processor


class Captioner(nn.Module, ABC):
    """An image captioner: three verbs and a processor.

    Attributes:
        processor: image size and tokenizer; it goes to the data.
        network: the Hugging Face model that captions; `rococap.models.lora` adapts it.
        new: names of the parameters of `network` that had random values when it was built. Frozen, they
            would make the model blind in silence; `rococap.models.audit` refuses that.
        base_code: lines of Python that build `base`, the network before adaptation, from public packages.
        opening_code: lines that follow once `model`, the trained network, is open; mostly empty.
    """

    processor: Processor
    network: Any
    new: frozenset[str]
    base_code: str
    opening_code: str

    @property
    @abstractmethod
    def tower(self) -> nn.Module:
        """The vision tower, part of `network`."""

    @property
    def tower_trains(self) -> bool:
        """Whether any weight of the vision tower is trained; if not, features may be computed once."""
        return any(parameter.requires_grad for parameter in self.tower.parameters())

    @property
    @abstractmethod
    def encoding(self) -> dict[str, Any]:
        """What `encode` does, apart from the tower's weights: architecture, normalising, layout of the positions.

        Plain values by name; with the weights, all that an image's features hang on.
        """

    @property
    @abstractmethod
    def features_shape(self) -> tuple[int, int]:
        """Positions and width of an image's features."""

    def tower_digest(self) -> str:
        """Hex digest of the vision tower's weights."""
        digest = hashlib.sha256()
        for name, tensor in self.tower.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @abstractmethod
    def encode(self, pixel_values: Tensor) -> Tensor:
        """Run the vision tower.

        Args:
            pixel_values: uint8 [batch, 3, height, width]; scaled and normalised here, on the device.

        Returns:
            features: float [batch, positions, width].
        """

    @abstractmethod
    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Summed cross-entropy over the real tokens, and their count.

        Args:
            features: what `encode` gave, float [batch, positions, width].
            input_ids: int64 [batch, tokens], captions with their end token, padded on the right. They are
                shifted in here, once.
            attention_mask: int64 [batch, tokens], 1 where a token is real.

        Returns:
            loss: float scalar, in nats, and count: int64 scalar.
        """

    @abstractmethod
    def generate(self, features: Tensor, *, max_new_tokens: int, num_beams: int) -> list[str]:
        """Caption each image; greedily if `num_beams` is 1.

        Args:
            features: float [batch, positions, width].
        """

    def attend(self, features: Tensor, captions: list[str]) -> Tensor:
        """Where the model looks while it writes each token, mean over layers and heads.

        Returns:
            float [batch, tokens, patches], each row summing to at most 1 (positions that are no patches left out).
        """
        raise TypeError(f"{type(self).__name__} has no cross-attention to show")

    @abstractmethod
    def save_network(self, folder: Path) -> None:
        """Write `network` whole, in Hugging Face's format."""

    @abstractmethod
    def save_settings(self, folder: Path) -> None:
        """Write what goes with the weights: tokenizer, image processor, generation settings."""

    def train(self, mode: bool = True) -> Captioner:
        """Set the mode; a frozen tower stays in eval mode, since its dropout would only add noise."""
        super().train(mode)
        if not self.tower_trains:
            self.tower.eval()
        return self

    def trainable_state(self) -> dict[str, Tensor]:
        """Name -> weights of all that trains, on their device."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def load_trainable_state(self, state: dict[str, Tensor]) -> None:
        """Put weights of `trainable_state` back; raises ValueError unless the names are exactly those that train."""
        own = self.trainable_state()
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())
            raise ValueError(f"the checkpoint is of another recipe: {len(odd)} parameters differ, such as {odd[0]}")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])


def features_of(captioner: Captioner, batch: Batch) -> Tensor:
    """What the decoder sees of a batch, float [batch, positions, width]: computed, or as it was kept."""
    if batch.features is not None:
        return batch.features.float()
    assert batch.pixel_values is not None
    return captioner.encode(batch.pixel_values)


def captioner_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """A checkpoint's weights by the names that `Captioner.load_trainable_state` takes."""
    return {name.removeprefix("captioner."): value for name, value in checkpoint["state_dict"].items()}
