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
def out_of_memory_named(recipe: Recipe) -> Iterator[None]:
    """Where memory runs out, say which settings cure that in place of a traceback.

    Raises:
        UserError: it did.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        of_gpu = isinstance(error, torch.OutOfMemoryError)
        if not of_gpu and not isinstance(error, MemoryError) and not any(said in str(error) for said in _OF_CPU):
            raise
        raise UserError(_remedy(recipe, "The GPU" if of_gpu else "This machine", str(error))) from error


def _remedy(recipe: Recipe, where: str, said: str) -> str:
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
    cures += ["precision=nf4", f"decoding.batch_size={max(1, recipe.decoding.batch_size // 2)}"]
    cures.append("model.visual_tokens=49, where the model has it")
    first = said.strip().partition("\n")[0].partition(". ")[0][:200]
    return f"{where} has too little memory ({first}).\nWhat helps: {'; '.join(cures)}. The same command goes on."
