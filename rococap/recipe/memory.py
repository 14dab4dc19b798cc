"""What to do where memory does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rococap.recipe.recipe import Recipe
from rococap.types import UserError

# What PyTorch's allocator for CPUs says; for GPUs it has an error of its own.
_OF_CPU = ("can't allocate memory", "not enough memory")


@contextmanager
def out_of_memory_named(recipe: Recipe, *, training: bool) -> Iterator[None]:
    """Where memory runs out, say which settings cure that in place of a traceback.

    Args:
        training: or else captions are generated.

    Raises:
        UserError: it did.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        of_gpu = isinstance(error, torch.OutOfMemoryError)
        if not of_gpu and not isinstance(error, MemoryError) and not any(said in str(error) for said in _OF_CPU):
            raise
        where = "The GPU" if of_gpu else "This machine"
        said = str(error).strip().partition("\n")[0].partition(". ")[0][:200]
        remedy = _of_training(recipe) if training else _of_captioning(recipe)
        raise UserError(f"{where} has too little memory ({said}).\n{remedy}") from error


def _of_captioning(recipe: Recipe) -> str:
    return f"Go on with decoding.batch_size={max(1, recipe.decoding.batch_size // 2)}, which changes no caption."


def _of_training(recipe: Recipe) -> str:
    """Settings of another recipe: a run does not go on with them."""
    size = recipe.data.batch_size
    trainer = recipe.settings["trainer"]
    cures = []
    if size is not None and size > 1:
        steps = 2 * trainer["accumulate_grad_batches"]
        cures.append(f"data.batch_size={size // 2} trainer.accumulate_grad_batches={steps} (the same step)")
    if not recipe.settings["checkpoint_activations"]:
        cures.append("checkpoint_activations=true")
    if recipe.arithmetic == "fp32" and recipe.device == "cuda":
        cures.append("precision=bf16")
    cures += ["precision=nf4", "model.visual_tokens=49, where the model has it"]
    return f"Begin anew, under another name or with on_change=rerun, and with {'; or '.join(cures)}."
