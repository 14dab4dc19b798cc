"""Parameter groups, learning-rate schedules, and what some optimizers ask of those who use them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers.optimization import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from rococap.types import UserError


def refuse_paged(optimizer: partial[Optimizer], device: str) -> None:
    """Raise UserError for an optimizer that pages to a GPU's host memory where there is none: it would not page."""
    if optimizer.func.__name__.startswith("Paged") and device != "cuda":
        raise UserError(
            f"{optimizer.func.__name__} pages between a CUDA GPU and the machine's memory; this run uses {device}. "
            "Take optimizer=adamw_8bit."
        )


def set_mode(optimizers: Iterable[Optimizer], *, training: bool) -> None:
    """Put the weights at which a schedule-free optimizer trains, or their average, into the model.

    The average is what is validated, saved and exported. Other optimizers have one set of weights: nothing happens.
    """
    for optimizer in optimizers:
        switch = getattr(optimizer, "train" if training else "eval", None)
        if switch is not None:
            switch()


def parameter_groups(module: nn.Module) -> list[dict[str, Any]]:
    """What trains, in two groups: matrices, and biases, norms and other vectors, which are not decayed."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1]},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]


def linear(optimizer: Optimizer, total_steps: int, *, warmup: float) -> LambdaLR:
    """Up from 0 during the first `warmup` share of all steps, then straight down to 0."""
    schedule: LambdaLR = get_linear_schedule_with_warmup(optimizer, round(warmup * total_steps), total_steps)
    return schedule


def cosine(optimizer: Optimizer, total_steps: int, *, warmup: float) -> LambdaLR:
    """Up from 0 during the first `warmup` share of all steps, then down to 0 along half a cosine."""
    schedule: LambdaLR = get_cosine_schedule_with_warmup(optimizer, round(warmup * total_steps), total_steps)
    return schedule


def constant(optimizer: Optimizer, total_steps: int, *, warmup: float) -> LambdaLR:
    """Up from 0 during the first `warmup` share of all steps, then level."""
    schedule: LambdaLR = get_constant_schedule_with_warmup(optimizer, round(warmup * total_steps))
    return schedule
