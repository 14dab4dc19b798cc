"""What the best checkpoint is chosen by."""

from __future__ import annotations

from collections.abc import Container


def monitored(monitor: str, metrics: Container[str]) -> str:
    """What the best checkpoint has the best value of.

    auto is val/concept_f1 of a detector, val/cider where that is measured, else val/loss.
    """
    if monitor != "auto":
        return monitor
    if "concepts" in metrics:
        return "val/concept_f1"
    return "val/cider" if "cider" in metrics else "val/loss"


def sign(monitor: str) -> int:
    """1 where more of the monitored value is better, -1 for a loss."""
    return -1 if monitor.endswith("loss") else 1
