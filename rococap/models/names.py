"""Names of a network's parameters and modules, whether or not PEFT is around them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What PEFT puts into the names of what it wraps.
_WRAPPERS = re.compile(r"base_model\.model\.|\.base_layer|\.modules_to_save\.\w+|\.original_module|\.lora_\w+\.\w+")


def plain_name(name: str) -> str:
    """A parameter's or module's name before PEFT wrapped the network."""
    return _WRAPPERS.sub("", name)


def within(name: str, places: Iterable[str]) -> bool:
    """Whether a parameter or module lies in one of some modules, or is one of them."""
    return any(name == place or name.startswith(f"{place}.") for place in places)
