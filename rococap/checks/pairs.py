"""Choices that do not go together. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def mismatched(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Paths and what is wrong there, of a config in plain values."""
    optimizer, scheduler, lora = (_target(config, group) for group in ("optimizer", "scheduler", "lora"))
    if optimizer.startswith("schedulefree.") and not scheduler.endswith(".constant"):
        yield "scheduler", "must be constant with this optimizer: it averages where others let the rate decay"
    weights = config["precision"].get("weights") if isinstance(config.get("precision"), dict) else None
    if weights in {"int8", "nf4"} and lora.endswith(".train_in_full"):
        yield "lora", f"must not be none with precision={weights}: rounded weights can't train; take lora=attention"


def _target(config: dict[str, Any], group: str) -> str:
    node = config.get(group)
    target = node.get("_target_") if isinstance(node, dict) else None
    return target if isinstance(target, str) else ""
