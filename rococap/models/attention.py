"""Attention, watched while a decoder runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def watched(
    modules: Sequence[nn.Module], keep: Callable[[Tensor], Tensor] = lambda weights: weights
) -> Iterator[list[Tensor]]:
    """Collect the weights [batch, heads, tokens, positions] of attention modules, in the order in which they run.

    Of each module's weights only what `keep` makes of them is held.

    sdpa shows none, so they are eager meanwhile. Module by module, since one that PEFT trains in full is a copy with a
    config of its own, which neither transformers' recorder nor `set_attn_implementation` reaches.
    """
    layers: list[Tensor] = []
    configs: list[Any] = [module.config for module in modules]
    usual = [config._attn_implementation for config in configs]
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: layers.append(keep(output[1])))
        for module in modules
    ]
    for config in configs:
        config._attn_implementation = "eager"
    try:
        yield layers
    finally:
        for config, implementation, hook in zip(configs, usual, hooks, strict=True):
            config._attn_implementation = implementation
            hook.remove()
