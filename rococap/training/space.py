"""The room on the disk that a run will need, known before it trains: a disk full at the last epoch costs all of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.optim import Optimizer

from rococap.data.kept.folders import NoSpace
from rococap.models.base import Model
from rococap.runs.folder import RunFolder
from rococap.runs.listing import size_text
from rococap.training.optim import set_mode

_SIDE = 128  # of a matrix that is large enough for optimizers which keep 8 bits of large ones only
_MARGIN = 1.05  # over what is reckoned: file systems need some themselves


def checkpoint_bytes(captioner: Model, optimizer: Callable[[Any], Optimizer], device: str) -> int:
    """About the size of one checkpoint: what trains, and what the optimizer keeps of it.

    Args:
        optimizer: builds it from parameters.
        device: cpu, cuda or mps, where it will work.
    """
    return round(_bytes(p for p in captioner.parameters() if p.requires_grad) * (1 + _kept_share(optimizer, device)))


def export_bytes(captioner: Model) -> int:
    """About the size of `adapter/`, or of `model/` where everything trains; nothing is written where nothing trains."""
    adapted = isinstance(captioner.network, PeftModel) or not captioner.trains
    return _bytes(p for p in captioner.network.parameters() if p.requires_grad or not adapted)


def require_room(folder: RunFolder, one: int, exported: int, kept: int | None, epochs: int) -> None:
    """Refuse a run for which its disk is too small.

    Args:
        one: bytes of a checkpoint.
        exported: bytes of the weights that it ends with.
        kept: how many of the newest epochs' checkpoints stay, beside the best and the last; None: all.
        epochs: of the whole run.

    Raises:
        NoSpace: naming the need, what is free and what to set.
    """
    there = sum(file.stat().st_size for file in folder.checkpoints.glob("*.ckpt"))
    free = shutil.disk_usage(folder.path).free
    needed = {keeps: (_files(keeps, epochs) * one + exported - there) * _MARGIN for keeps in (kept, 0)}
    if free >= needed[kept]:
        return
    least = f"checkpoint.keep=best+last needs {size_text(needed[0])}. " if needed[0] < needed[kept] else ""
    raise NoSpace(
        f"{folder.path} needs {size_text(needed[kept])} more, for {_files(kept, epochs)} checkpoints of "
        f"{size_text(one)} and the exported weights, but {size_text(free)} are free on its disk.\n"
        f"{least}Free some, or take another disk with hydra.run.dir=DIR (of a sweep hydra.sweep.dir=DIR)."
    )


def _files(kept: int | None, epochs: int) -> int:
    """The most checkpoints that are there at once: the epochs', `last.ckpt`, and one that is being written."""
    # An epoch's is written before one goes that need not stay.
    return (epochs if kept is None else min(epochs, kept + 2)) + 2


def _kept_share(optimizer: Callable[[Any], Optimizer], device: str) -> float:
    """Bytes that an optimizer keeps of each byte of a matrix; its first step on a small one tells."""
    probe = nn.Parameter(torch.zeros(_SIDE, _SIDE, device=device))
    probe.grad = torch.zeros_like(probe)
    built = optimizer([probe])
    set_mode([built], training=True)
    built.step()
    return _bytes(value for value in built.state[probe].values() if isinstance(value, Tensor)) / _bytes([probe])


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
