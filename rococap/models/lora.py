"""What of a captioner trains: LoRA beside frozen weights, or everything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from peft import LoraConfig, get_peft_model
from torch import nn
from transformers.pytorch_utils import Conv1D

from rococap.models.base import Model
from rococap.models.linear import linear_layers, named, no_layer, require_layers
from rococap.models.names import within
from rococap.models.network import Part
from rococap.types import UserError


def add_lora(
    captioner: Model,
    *,
    rank: int,
    alpha: float | None,
    dropout: float,
    target_modules: list[str] | None,
    train_vision_tower: bool,
    parts: list[Part],
    use_dora: bool,
    use_rslora: bool,
    init: Literal["default", "gaussian", "pissa", "olora", "orthogonal"],
) -> None:
    """Freeze the network and put LoRA on its target modules (Hu et al. 2021, arXiv:2106.09685).

    New modules, whose weights are random, are trained in full: frozen they would stay random.

    Args:
        rank: of the update's two factors.
        alpha: the update is scaled by alpha / rank; None means 2 * rank.
        dropout: on the input of the update, 0 <= dropout < 1.
        target_modules: names of linear layers, matched at their end; None: those that suit the architecture.
        train_vision_tower: train the tower in full as well.
        parts: of the network that get LoRA: tower, projector, decoder. Names reach no other part.
        use_dora: magnitude and direction apart (Liu et al. 2024, arXiv:2402.09353).
        use_rslora: scaled by alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732).
        init: of the factors. default: the update starts at zero; gaussian: likewise, of normal values; pissa (Meng et
            al. 2024, arXiv:2404.02948) and olora (arXiv:2406.01775) start from the weights' own directions, which
            changes what is frozen too; orthogonal.

    Raises:
        UserError: no linear layer of these parts has one of these names.
    """
    network = captioner.network
    whole = whole_modules(network, captioner.new)
    if train_vision_tower:
        if "tower" in parts:
            raise UserError(
                "lora.train_vision_tower=true trains the tower in full; lora.parts asks for LoRA on it: choose one."
            )
        there = dict(network.named_modules())
        outer = [place for place in captioner.encoder if place in there and not _inside(place, captioner.encoder)]
        parts_of_tower = [name for place in outer for name in _parts(network, place)]
        whole += [name for name in parts_of_tower if not within(name, (*whole, *captioner.unused))]
    targets = _targets(captioner, target_modules, parts, whole)
    names = sorted({name for name, _ in network.named_modules() if re.fullmatch(targets, name)})
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=dropout,
        target_modules=targets,
        modules_to_save=whole or None,
        # GPT-2's Conv1D keeps its weight transposed; a rounded layer has it as others have.
        fan_in_fan_out=any(isinstance(network.get_submodule(name), Conv1D) for name in names),
        use_dora=use_dora,
        use_rslora=use_rslora,
        init_lora_weights=True if init == "default" else init,
    )
    captioner.network = get_peft_model(network, config)
    # Parameters of no module that PEFT could wrap, such as BLIP-2's queries; `export` writes them beside the rest.
    for name, parameter in captioner.named_weights():
        trains = name in captioner.new or (train_vision_tower and captioner.encodes(name))
        if trains and not within(name, whole):
            parameter.requires_grad_(True)
    _finish(captioner)


def train_in_full(captioner: Model, *, train_vision_tower: bool) -> None:
    """Train every weight; the vision tower's only where asked for."""
    captioner.network.requires_grad_(True)
    for name, parameter in captioner.named_weights():
        if captioner.encodes(name):
            parameter.requires_grad_(train_vision_tower)
    _finish(captioner)


def train_nothing(captioner: Model) -> None:
    """Take the captioner as it is: it is captioned with and scored, and not trained."""
    captioner.network.requires_grad_(False)


def _finish(captioner: Model) -> None:
    """What trains is in fp32, in whatever precision the rest was published: small updates would be lost.

    What takes no part in anything would get no gradient.
    """
    for name, parameter in captioner.named_weights():
        if within(name, captioner.unused):
            parameter.requires_grad_(False)
        elif parameter.requires_grad:
            parameter.data = parameter.data.float()


def _targets(captioner: Model, names: Sequence[str] | None, parts: Sequence[Part], whole: Sequence[str]) -> str:
    """A regular expression for the full names of the layers that get LoRA, as PEFT takes it.

    Raises:
        UserError: a name is of no linear layer there.
    """
    # What trains in full already, makes logits, or takes no part in anything gets none.
    left_out = (*whole, captioner.head, *captioner.unused)
    layers: dict[Part, list[str]] = {part: [] for part in parts}
    for name in linear_layers(captioner.network):
        if captioner.part(name) in layers and not within(name, left_out):
            layers[captioner.part(name)].append(name)
    there = [name for found in layers.values() for name in found]
    if names is not None:
        require_layers(there, names, parts)
    chosen = {
        name
        for part, found in layers.items()
        for target in (captioner.targets.get(part, ()) if names is None else names)
        for name in named(found, target)
    }
    if not chosen:
        raise no_layer(there, "is one that this architecture adapts by itself", parts)
    return _pattern(chosen, [name for name, _ in captioner.network.named_modules()])


def _pattern(chosen: set[str], there: Sequence[str]) -> str:
    """As short as the names allow: layers are told apart by their numbers only where not all of them are chosen."""
    shapes = sorted({re.sub(r"(?<=\\\.)\d+(?=\\\.|$)", r"\\d+", re.escape(name)) for name in chosen})
    short = "|".join(shapes)
    same = {name for name in there if re.fullmatch(short, name)} == chosen
    return short if same else "|".join(sorted(map(re.escape, chosen)))


def _inside(place: str, others: Sequence[str]) -> bool:
    """Whether a module lies in another one: PEFT wraps nothing twice."""
    return within(place, [other for other in others if other != place])


def whole_modules(network: nn.Module, names: frozenset[str]) -> list[str]:
    """The fewest modules that together hold exactly the named parameters, as the paths that PEFT wants."""
    held = {
        path: all(f"{path}.{name}" in names for name, _ in module.named_parameters())
        for path, module in network.named_modules()
        if path and next(module.parameters(), None) is not None
    }
    return [path for path, new in held.items() if new and not held.get(path.rpartition(".")[0], False)]


def _parts(network: nn.Module, place: str) -> list[str]:
    """The children at a place that hold parameters; of a list of blocks each block, since PEFT wraps no list."""
    parts = []
    for name, child in network.get_submodule(place).named_children():
        if isinstance(child, nn.ModuleList):
            parts += _parts(network, f"{place}.{name}")
        elif next(child.parameters(), None) is not None:
            parts.append(f"{place}.{name}")
    return parts
