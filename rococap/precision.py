"""The numbers that a run computes in. Nowhere else is a dtype chosen."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from rococap.types import UserError

_LIGHTNING: dict[str, Literal["32-true", "16-mixed", "bf16-mixed"]] = {
    "fp32": "32-true",
    "fp16": "16-mixed",
    "bf16": "bf16-mixed",
}


@dataclass(frozen=True)
class Precision:
    """What the recipe asks for; weights stay in fp32, matrix products run in `compute`."""

    compute: Literal["auto", "fp32", "fp16", "bf16"]

    def on(self, device: str) -> str:
        """fp32, fp16 or bf16, as it will run on "cpu", "cuda" or "mps".

        Raises:
            UserError: the device has no fast arithmetic of that kind.
        """
        bf16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        if self.compute == "auto":
            return "fp32" if device != "cuda" else ("bf16" if bf16 else "fp16")
        if self.compute != "fp32" and device != "cuda":
            raise UserError(f"precision={self.compute} needs a CUDA GPU; this run uses {device}. Take precision=fp32.")
        if self.compute == "bf16" and not bf16:
            raise UserError("precision=bf16: this GPU has no bf16 arithmetic. Take precision=fp16 or fp32.")
        return self.compute

    def lightning(self, device: str) -> Literal["32-true", "16-mixed", "bf16-mixed"]:
        """The Trainer's word for it."""
        return _LIGHTNING[self.on(device)]

    def autocast(self, device: str) -> AbstractContextManager[object]:
        """The same arithmetic outside a Trainer."""
        compute = self.on(device)
        if compute == "fp32":
            return nullcontext()
        return torch.autocast(device, dtype=torch.float16 if compute == "fp16" else torch.bfloat16)


def device_type(accelerator: str) -> Literal["cpu", "cuda", "mps"]:
    """The kind of device that trainer.accelerator stands for on this machine.

    Raises:
        UserError: it asks for one that is not there.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if accelerator in {"gpu", "cuda"} and not cuda and not (accelerator == "gpu" and mps):
        raise UserError(f"trainer.accelerator={accelerator}, but PyTorch sees no GPU here. Take auto or cpu.")
    if accelerator == "mps" and not mps:
        raise UserError("trainer.accelerator=mps, but PyTorch sees no Apple GPU here. Take auto or cpu.")
    if accelerator == "cpu" or not (cuda or mps):
        return "cpu"
    return "mps" if accelerator == "mps" or not cuda else "cuda"
