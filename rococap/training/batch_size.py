"""data.batch_size=auto: as many images a step as memory holds, tried on steps of the longest captions."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace

import torch

from rococap.data.kept.rows import free_memory
from rococap.models.base import Model
from rococap.processes.group import group
from rococap.recipe.memory import out_of_memory_named
from rococap.recipe.recipe import Recipe
from rococap.runs.folder import RunFolder
from rococap.runs.memory import own_peak
from rococap.types import UserError

log = logging.getLogger(__name__)

# Beyond these a step of twice as many images takes twice as long.
_MOST = {"cpu": 64, "mps": 64, "cuda": 512}
_STEPS = 10  # an epoch has so many at least
_SHARE = 0.5  # of the free memory of a CPU's machine: others use it too
_USUAL = 8  # images a step that the learning rates of conf/ are meant for


def with_batch(recipe: Recipe, captioner: Model, folder: RunFolder, images: int) -> Recipe:
    """A recipe whose batches have a size: its own, or what was found for the run when it began, or what is found now.

    Args:
        images: of the training split.

    Raises:
        UserError: not even one image fits.
    """
    if recipe.data.batch_size is not None:
        return recipe
    if not captioner.trains:  # its only batches are those of validation
        return replace(recipe, data=replace(recipe.data, batch_size=recipe.decoding.batch_size))
    found = folder.state.get("batch_size")
    if found is None:
        most = max(1, min(_MOST[recipe.device], images // (_STEPS * group().count)))
        fits = _on_gpu if recipe.device == "cuda" else _on_cpu
        with out_of_memory_named(recipe, training=True):
            found = min(group().gathered(largest(fits(_trial(captioner, recipe)), most)))
        folder.note(batch_size=found)
    times = found * group().count / _USUAL
    rate = recipe.settings["optimizer"]["lr"]
    log.info(
        "data.batch_size=auto: %d images of each process. The learning rate is %.3g as it was; with %.3g times the "
        "usual %d images a step optimizer.lr=%.2g suits AdamW (square root, Malladi et al. 2022).",
        found, rate, times, _USUAL, rate * math.sqrt(times),
    )  # fmt: skip
    return replace(recipe, data=replace(recipe.data, batch_size=found))


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest power of two, at most `most`, that fits; what does not fit is tried once.

    Raises:
        UserError: one does not.
    """
    if not fits(1):
        raise UserError(
            "data.batch_size=auto: not even one image fits into memory.\nTake precision=nf4, or a smaller model."
        )
    size = 1
    while 2 * size <= most and fits(2 * size):
        size *= 2
    return size


def _trial(captioner: Model, recipe: Recipe) -> Callable[[int], None]:
    """A step of so many images with captions as long as any, with room for what an optimizer keeps."""
    device, processor = recipe.device, captioner.processor

    def step(size: int) -> None:
        captioner.to(device).train()
        weights = [p for p in captioner.network.parameters() if p.requires_grad]
        kept = [torch.zeros_like(p) for p in weights for _ in range(2)]
        tokens = torch.full((size, recipe.data.max_tokens), processor.pad_token_id, device=device)
        with recipe.precision.autocast(device):
            pixels = torch.zeros(size, 3, *processor.image_size, dtype=torch.uint8, device=device)
            loss, _ = captioner(captioner.encode(pixels), tokens, torch.ones_like(tokens))
        loss.backward()
        for weight in weights:
            weight.grad = None
        del kept

    return step


def _on_gpu(step: Callable[[int], None]) -> Callable[[int], bool]:
    def fits(size: int) -> bool:
        try:
            step(size)
        except torch.OutOfMemoryError:
            return False
        finally:
            torch.cuda.empty_cache()
        return True

    return fits


def _on_cpu(step: Callable[[int], None]) -> Callable[[int], bool]:
    """A machine that runs out of memory ends processes: whether twice as many fit is reckoned from what these took."""
    before, room = own_peak(), _SHARE * free_memory()
    grown = 0.0

    def fits(size: int) -> bool:
        nonlocal grown
        if 2 * grown > room:
            return False
        step(size)
        grown = own_peak() - before
        return grown <= room

    return fits
