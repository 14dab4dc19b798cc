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
    trainer = config.get("trainer")
    keys = ("check_val_every_n_epoch", "max_epochs")
    every, epochs = (trainer.get(key) if isinstance(trainer, dict) else None for key in keys)
    if isinstance(every, int) and isinstance(epochs, int) and every > epochs:
        yield "trainer.check_val_every_n_epoch", f"must be at most trainer.max_epochs={epochs}, or no epoch is the best"


def _target(config: dict[str, Any], group: str) -> str:
    node = config.get(group)
    target = node.get("_target_") if isinstance(node, dict) else None
    return target if isinstance(target, str) else ""
