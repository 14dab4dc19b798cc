"""In what the weights of a checkpoint differ from those that a captioner trains."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from rococap.types import UserError

_LORA = re.compile(r"\.lora_A\.\w+\.weight$")  # [rank, inputs]
_DORA = ".lora_magnitude_vector."


def require_match(own: Mapping[str, Tensor], given: Mapping[str, Any]) -> None:
    """Raise UserError, saying what differs, unless names and shapes are the same."""
    if said := difference(own, given):
        raise UserError(
            f"the checkpoint is of another recipe: {said}.\n"
            "Take this run's own checkpoint, or the settings that it was trained with."
        )


def difference(own: Mapping[str, Tensor], given: Mapping[str, Any]) -> str:
    """In words of a recipe where that is what it is, else by names and shapes; empty where nothing differs."""
    if odd := [name for name, value in given.items() if not isinstance(value, Tensor)]:
        return f"{odd[0]} is no weight"
    ranks = [{value.shape[0] for name, value in state.items() if _LORA.search(name)} for state in (own, given)]
    if all(ranks) and ranks[0] != ranks[1]:
        return f"lora.rank was {_listed(ranks[1])}, is {_listed(ranks[0])}"
    if bool(ranks[0]) != bool(ranks[1]):
        here, there = ("trains LoRA", "does not") if ranks[0] else ("trains no LoRA", "does")
        return f"this one {here}, and the checkpoint's {there}"
    if own.keys() != given.keys():
        return _names(own.keys(), given.keys())
    shapes = {name: (tuple(given[name].shape), tuple(value.shape)) for name, value in own.items()}
    if wrong := {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}:
        name, (was, now) = next(iter(wrong.items()))
        return f"{len(wrong)} of {len(own)} weights have another shape, such as {name}: was {was}, is {now}"
    return ""


def _names(own: Collection[str], given: Collection[str]) -> str:
    lacking, unknown = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    if not set(own) & set(given):
        return f"it is of another architecture, with weights such as {unknown[0] if unknown else 'none'}"
    found = [
        f"{len(names)} weights {what}, such as {names[0]}"
        for names, what in ((lacking, "are missing"), (unknown, "are not in this model"))
        if names
    ]
    dora = [any(_DORA in name for name in names) for names in (own, given)]
    return "; ".join([*found, *(["lora.use_dora differs"] if dora[0] != dora[1] else [])])


def _listed(ranks: Collection[int]) -> str:
    return " and ".join(map(str, sorted(ranks)))
