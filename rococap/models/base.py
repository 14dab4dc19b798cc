"""What every architecture is to the rest of the program."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rococap.models.mismatch import require_match
from rococap.models.processor import HFProcessor, ImageSettings
from rococap.types import Batch, UserError

Part = Literal["tower", "projector", "decoder"]
# What PEFT puts into the names of what it wraps.
_WRAPPERS = re.compile(r"base_model\.model\.|\.base_layer|\.modules_to_save\.\w+|\.original_module|\.lora_\w+\.\w+")


class Captioner(nn.Module, ABC):
    """An image captioner: three verbs and a processor. What an architecture has to say is in names of its modules.

    Attributes:
        encoder: names of the modules and parameters of `model` that `encode` runs.
        projector: names of what joins vision tower and decoder, whether `encode` runs it or not.
        head: name of the module that makes logits.
        targets: what `lora.target_modules=null` means, by part: names of linear layers, matched at their end.
        model_class: name of transformers' class of `model`.
        unused: names of what takes no part in anything, such as a tower's layers beyond the one whose output is taken.
        processor: image size and tokenizer; it goes to the data.
        network: the Hugging Face model that captions, with PEFT around it where it is adapted.
        settings: how images are resized and normalised.
        new: names of the parameters of `model` that had random values when it was built. Frozen, they would make the
            model blind in silence; `rococap.models.audit` refuses that.
        base_code: lines of Python that build `base`, the network before adaptation, from public packages.
        opening_code: lines that follow once `model`, the trained network, is open; mostly empty.
        grid: rows and columns of patches that the decoder sees; None where there is no grid.
    """

    encoder: tuple[str, ...]
    projector: tuple[str, ...] = ()
    head: str
    targets: Mapping[Part, tuple[str, ...]]
    model_class: str
    unused: tuple[str, ...] = ()

    processor: HFProcessor
    network: Any
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: Any,
        settings: ImageSettings,
        processor: HFProcessor,
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
        self.full_grid, self.grid = grid, pooled_grid(grid, visual_tokens)
        # Buffers, so that they follow the model to its device; scaling by 1/255 is folded into them.
        for name in ("mean", "std"):
            value = torch.tensor(getattr(settings, name)) / settings.scale
            self.register_buffer(name, value[:, None, None], persistent=False)

    @property
    def model(self) -> Any:
        """The Hugging Face model itself, whether or not PEFT is around it."""
        return self.network.get_base_model() if hasattr(self.network, "get_base_model") else self.network

    def part(self, name: str) -> Part:
        """Of a parameter or module of `model`, by its name before PEFT wrapped it."""
        if within(name, self.projector):
            return "projector"
        return "tower" if within(name, self.encoder) else "decoder"

    def encodes(self, name: str) -> bool:
        """Whether `encode` runs a parameter or module, named as in `part`."""
        return within(name, self.encoder)

    @property
    def tower_trains(self) -> bool:
        """Whether any weight that `encode` runs is trained; if not, features may be computed once."""
        return any(parameter.requires_grad for name, parameter in self.named_weights() if self.encodes(name))

    @property
    def trains(self) -> bool:
        """Whether any weight is trained."""
        return any(parameter.requires_grad for parameter in self.network.parameters())

    def named_weights(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters of `model`, by their names before PEFT wrapped it; LoRA's factors bear their layer's name."""
        return [(plain_name(name), parameter) for name, parameter in self.model.named_parameters()]

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

    def tower_digest(self) -> str:
        """Hex digest of the weights that `encode` runs, buffers that are saved with them included."""
        digest = hashlib.sha256()
        state = {plain_name(name): tensor for name, tensor in self.model.state_dict().items() if ".lora_" not in name}
        for name in sorted(name for name in state if self.encodes(name)):
            tensor = state[name]
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

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
    def captioning_code(self, folder: str) -> str:
        """Lines that caption the image file IMAGE with `model` and what `save_settings` wrote into a folder."""

    def save_network(self, folder: Path) -> None:
        """Write `network` whole, in Hugging Face's format."""
        self.model.save_pretrained(folder)

    def save_settings(self, folder: Path) -> None:
        """Write what goes with the weights: tokenizer, image processor."""
        self.processor.tokenizer.save_pretrained(folder)
        self.settings.save(folder)

    def train(self, mode: bool = True) -> Captioner:
        """Set the mode; a frozen tower stays in eval mode, since its dropout would only add noise."""
        super().train(mode)
        if mode and not self.tower_trains:
            for name, module in self.model.named_modules():
                if self.encodes(plain_name(name)):
                    module.training = False
        return self

    def trainable_state(self) -> dict[str, Tensor]:
        """Name -> weights of all that trains, on their device."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def load_trainable_state(self, state: dict[str, Tensor]) -> None:
        """Put weights of `trainable_state` back; raises UserError unless names and shapes are those of what trains."""
        own = self.trainable_state()
        require_match(own, state)
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])


def plain_name(name: str) -> str:
    """A parameter's or module's name before PEFT wrapped the network."""
    return _WRAPPERS.sub("", name)


def within(name: str, places: Iterable[str]) -> bool:
    """Whether a parameter or module lies in one of some modules, or is one of them."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy, in nats, of `logits [tokens, vocab]` for `labels [tokens]`."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum")


def pooled_grid(grid: tuple[int, int] | None, visual_tokens: int | None) -> tuple[int, int] | None:
    """Rows and columns of a grid averaged to a square of so many; raises UserError where it does not fit."""
    if visual_tokens is None:
        return grid
    if grid is None:
        raise UserError(
            f"model.visual_tokens={visual_tokens}: what this vision tower gives is no grid of patches, or none known.\n"
            "Leave it out (null)."
        )
    side = int(max(visual_tokens, 0) ** 0.5 + 0.5)
    if side * side != visual_tokens or not 1 <= side <= min(grid):
        squares = ", ".join(str(n * n) for n in range(min(grid), 0, -1) if all(length % n == 0 for length in grid))
        raise UserError(
            f"model.visual_tokens={visual_tokens}: the vision tower gives {grid[0]} x {grid[1]} patches.\n"
            f"Take one of {squares}."
        )
    return side, side


def pooled(features: Tensor, grid: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Average the patches of `[batch, positions, width]` to a smaller grid; positions before the patches stay."""
    lead = features.shape[1] - grid[0] * grid[1]
    patches = features[:, lead:].transpose(1, 2).reshape(len(features), -1, *grid)
    averaged = functional.adaptive_avg_pool2d(patches, to).flatten(2).transpose(1, 2)
    return torch.cat([features[:, :lead], averaged], dim=1)


def features_of(captioner: Captioner, batch: Batch) -> Tensor:
    """What the decoder sees of a batch, float [batch, positions, width]: computed, or as it was kept."""
    if batch.features is not None:
        return batch.features.float()
    assert batch.pixel_values is not None
    return captioner.encode(batch.pixel_values)


def captioner_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """A checkpoint's weights by the names that `Captioner.load_trainable_state` takes.

    Raises:
        UserError: it has none.
    """
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise UserError("the checkpoint holds no weights by name: it is none of rococap's.\nTake this run's own.")
    return {name.removeprefix("captioner."): value for name, value in checkpoint["state_dict"].items()}
