"""What trains, what is frozen, what is new, and what that costs: said before the first step, and checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor, nn

from rococap.models.base import Model
from rococap.models.names import plain_name
from rococap.types import UserError

_MEBI = 2**20


@dataclass
class Part:
    """Parameters of one kind in one place of the network."""

    name: str
    state: str  # frozen, trained, new, LoRA, or kept (PEFT's unused copy of what is trained in full)
    parameters: int = 0
    trainable: int = 0
    bytes: int = 0  # weights, and for what trains a gradient and AdamW's two moments

    def add(self, parameter: nn.Parameter) -> None:
        """Count one parameter."""
        self.parameters += parameter.numel() * (2 if parameter.dtype == torch.uint8 else 1)  # nf4: two in a byte
        self.trainable += parameter.numel() * parameter.requires_grad
        self.bytes += parameter.numel() * parameter.element_size() * (4 if parameter.requires_grad else 1)


def audit(captioner: Model) -> list[Part]:
    """Count the network's parameters, part by part, in the order of the network.

    Raises:
        UserError: a parameter with random values is frozen.
    """
    _refuse_frozen_random(captioner)
    parts: dict[tuple[str, str], Part] = {}
    for name, parameter in captioner.model.named_parameters():
        key = _place(captioner, plain_name(name)), _state(name, parameter, captioner.new)
        parts.setdefault(key, Part(*key)).add(parameter)
    beside = [parameter for name, parameter in captioner.named_parameters() if name.startswith("concepts.")]
    for parameter in beside:
        parts.setdefault(("concepts", "new"), Part("concepts", "new")).add(parameter)
    return list(parts.values())


def audit_table(parts: Iterable[Part]) -> Table:
    """The audit as people read it; MiB is what training holds: weights, gradients and AdamW's moments."""
    parts = list(parts)
    view = Table(title="What trains", title_justify="left", show_footer=True)
    trainable, total = sum(p.trainable for p in parts), sum(p.parameters for p in parts)
    view.add_column("part", footer="all", no_wrap=True)
    view.add_column("state", footer=f"{trainable / total:.2%} trains")
    view.add_column("parameters", justify="right", footer=f"{total:,}")
    view.add_column("trainable", justify="right", footer=f"{trainable:,}")
    view.add_column("MiB", justify="right", footer=f"{sum(p.bytes for p in parts) / _MEBI:,.1f}")
    for part in parts:
        style = None if part.trainable else "dim"
        cells = (part.name, part.state, f"{part.parameters:,}", f"{part.trainable:,}", f"{part.bytes / _MEBI:,.1f}")
        view.add_row(*cells, style=style)
    return view


def refuse_missing_gradients(captioner: Model) -> None:
    """After the first backward pass every trainable parameter must have a gradient; LoRA's first may be zero.

    Raises:
        UserError: one has none, so it is no part of the computation.
    """
    without = [name for name, p in captioner.model.named_parameters() if p.requires_grad and p.grad is None]
    if without:
        raise UserError(
            f"{len(without)} trainable parameters got no gradient in the first step, such as {plain_name(without[0])}: "
            "they take no part in the loss.\nFreeze them, or leave them out of lora.target_modules."
        )


def refuse_blind(captioner: Model, gradient: Tensor | None) -> None:
    """After the first backward pass the loss must hang on what the vision tower gave.

    Args:
        gradient: of the loss for the features; None where they are not part of its computation at all. It may be zero
            in the first step where what joins tower and decoder is new and starts at zero.

    Raises:
        UserError: nothing in the decoder looks at the image.
    """
    if gradient is None or not (gradient.any() or captioner.new):
        raise UserError(
            "The loss does not hang on the image: nothing in this decoder looks at it, and it would learn to caption "
            "blindly.\nTake another model or model.decoder."
        )


def _refuse_frozen_random(captioner: Model) -> None:
    trains = {
        plain_name(name) for name, p in captioner.model.named_parameters() if p.requires_grad and ".lora_" not in name
    }
    frozen = sorted(captioner.new - trains)
    if frozen:
        raise UserError(
            f"{len(frozen)} parameters have random values and are frozen, such as {frozen[0]}: what they compute "
            "would stay random.\nTrain them (lora.train_vision_tower=true for the tower, or lora=none), or start from "
            "a checkpoint that has them."
        )


def _place(captioner: Model, name: str) -> str:
    """encoder.layers.3.attention.q_proj.weight -> tower attention: the part, and the place within a block."""
    steps = name.split(".")[:-1]
    part = captioner.rest if (found := captioner.part(name)) == "decoder" else found
    blocks = [i for i, step in enumerate(steps) if step.isdigit() and i + 1 < len(steps)]
    if blocks:
        return f"{part} {steps[blocks[0] + 1]}"
    inner = [step for step in steps if not step.isdigit()]
    return " ".join(dict.fromkeys([part, *inner[-1:]]))


def _state(name: str, parameter: nn.Parameter, new: frozenset[str]) -> str:
    if ".lora_" in name:
        return "LoRA"
    if ".original_module" in name:
        return "kept"
    if plain_name(name) in new:
        return "new"
    return "trained" if parameter.requires_grad else "frozen"
