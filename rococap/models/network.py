"""A Hugging Face network by the names of its parts: what of it trains, and its state."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from rococap.models.mismatch import require_match
from rococap.models.names import plain_name, within

Part = Literal["tower", "projector", "decoder"]


class Network(nn.Module):
    """What holds of every architecture, whatever its answers are.

    Attributes:
        encoder: names of the modules and parameters of `model` that `encode` runs.
        projector: names of what joins vision tower and decoder, whether `encode` runs it or not.
        head: name of the module that makes logits.
        targets: what `lora.target_modules=null` means, by part: names of linear layers, matched at their end.
        model_class: name of transformers' class of `model`.
        unused: names of what takes no part in anything, such as a tower's layers beyond the one whose output is taken.
        rest: what people call what is neither tower nor projector.
        network: the Hugging Face model, with PEFT around it where it is adapted.
        new: names of the parameters of `model` that had random values when it was built. Frozen, they would make the
            model blind in silence; `rococap.models.audit` refuses that.
    """

    encoder: tuple[str, ...]
    projector: tuple[str, ...] = ()
    head: str
    targets: Mapping[Part, tuple[str, ...]]
    model_class: str
    unused: tuple[str, ...] = ()
    rest: str = "decoder"
    network: Any
    new: frozenset[str]

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

    def tower_digest(self) -> str:
        """Hex digest of the weights that `encode` runs, buffers that are saved with them included."""
        digest = hashlib.sha256()
        state = {plain_name(name): tensor for name, tensor in self.model.state_dict().items() if ".lora_" not in name}
        for name in sorted(name for name in state if self.encodes(name)):
            tensor = state[name]
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def save_network(self, folder: Path) -> None:
        """Write `network` whole, in Hugging Face's format."""
        self.model.save_pretrained(folder)

    def checkpoint_activations(self) -> None:
        """Compute activations again in the backward pass: less memory, more time."""
        self.network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def train(self, mode: bool = True) -> Self:
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
