"""Linear layers by their names: what LoRA can be put on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from rococap.types import UserError

_LINEAR = {"Linear", "Conv1D", "Linear8bitLt", "Linear4bit"}


def linear_layers(network: nn.Module) -> list[str]:
    """Full names of the linear layers, rounded ones among them."""
    return [name for name, module in network.named_modules() if type(module).__name__ in _LINEAR]


def named(layers: Iterable[str], target: str) -> list[str]:
    """Those layers whose name ends with a target, step by step: `attn.c_attn` or `c_attn`, not `attn`."""
    return [layer for layer in layers if f".{layer}".endswith(f".{target}")]


def require_layers(layers: Sequence[str], targets: Iterable[str], parts: Sequence[str]) -> None:
    """Refuse with UserError a target that no layer of these parts of the network is named."""
    if missing := sorted(target for target in targets if not named(layers, target)):
        raise no_layer(layers, f"is named {', '.join(missing)}", parts)


def no_layer(layers: Iterable[str], said: str, parts: Sequence[str]) -> UserError:
    """The answer to targets that are not there, with the names that are."""
    there = ", ".join(sorted(set(map(_last_word, layers)))) or "none"
    return UserError(f"lora.target_modules: no linear layer of {' or '.join(parts)} {said}.\nThere are: {there}.")


def _last_word(name: str) -> str:
    """`c_attn` of `decoder.h.0.attn.c_attn`; `mlp.0` where the last step is a number."""
    steps = name.split(".")
    return ".".join(steps[-2:]) if steps[-1].isdigit() else steps[-1]
