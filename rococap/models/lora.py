"""What of a captioner trains: LoRA beside frozen weights, or everything."""

from __future__ import annotations

from peft import LoraConfig, get_peft_model
from torch import nn

from rococap.models.base import Captioner
from rococap.types import UserError


def add_lora(
    captioner: Captioner,
    *,
    rank: int,
    alpha: float | None,
    dropout: float,
    target_modules: list[str],
    train_vision_tower: bool,
) -> None:
    """Freeze the network and put LoRA on its target modules (Hu et al. 2021, arXiv:2106.09685).

    New modules, whose weights are random, are trained in full: frozen they would stay random.

    Args:
        rank: of the update's two factors.
        alpha: the update is scaled by alpha / rank; None means 2 * rank.
        dropout: on the input of the update, 0 <= dropout < 1.
        target_modules: names of linear layers, matched at their end.
        train_vision_tower: train the tower in full as well.

    Raises:
        UserError: no module has one of these names.
    """
    network = captioner.network
    whole = whole_modules(network, captioner.new)
    if train_vision_tower:
        prefix = next(name for name, module in network.named_modules() if module is captioner.tower)
        whole += [f"{prefix}.{name}" for name in _parts(captioner.tower)]
    for target in target_modules:
        if not any(name.split(".")[-1] == target or name.endswith(f".{target}") for name, _ in network.named_modules()):
            linear = sorted({name.split(".")[-1] for name, m in network.named_modules() if _adaptable(m)})
            raise UserError(f"lora.target_modules: no module is named {target}. There are: {', '.join(linear)}.")
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=dropout,
        target_modules=list(target_modules),
        # A module that trains in full needs no update beside it.
        exclude_modules=[f"{module}.{target}" for module in whole for target in target_modules] or None,
        modules_to_save=whole or None,
        fan_in_fan_out=True,  # GPT-2's Conv1D keeps its weight transposed
    )
    captioner.network = get_peft_model(network, config)


def train_in_full(captioner: Captioner, *, train_vision_tower: bool) -> None:
    """Train every weight; the vision tower's only where asked for."""
    captioner.network.requires_grad_(True)
    captioner.tower.requires_grad_(train_vision_tower)


def whole_modules(network: nn.Module, names: frozenset[str]) -> list[str]:
    """The fewest modules that together hold exactly the named parameters, as the paths that PEFT wants."""
    held = {
        path: all(f"{path}.{name}" in names for name, _ in module.named_parameters())
        for path, module in network.named_modules()
        if path and next(module.parameters(), None) is not None
    }
    return [path for path, new in held.items() if new and not held.get(path.rpartition(".")[0], False)]


def _parts(module: nn.Module) -> list[str]:
    """The children that hold parameters; of a list of blocks each block, since PEFT wraps no list."""
    parts = []
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            parts += [f"{name}.{part}" for part in _parts(child)]
        elif next(child.parameters(), None) is not None:
            parts.append(name)
    return parts


def _adaptable(module: nn.Module) -> bool:
    return type(module).__name__ in {"Linear", "Conv1D", "Linear8bitLt", "Linear4bit"}
