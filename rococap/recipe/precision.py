"""The numbers that a run computes in, and those that its frozen weights are kept in. Nowhere else is a dtype chosen."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch

from rococap.models.loading import Loading
from rococap.types import UserError

Device = Literal["cpu", "cuda", "mps"]
Arithmetic = Literal["fp32", "fp16", "bf16"]

_LIGHTNING: dict[str, Literal["32-true", "16-mixed", "bf16-mixed"]] = {
    "fp32": "32-true",
    "fp16": "16-mixed",
    "bf16": "bf16-mixed",
}
_DTYPE = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Precision:
    """What the recipe asks for: matrix products run in `compute`; what trains stays in fp32, whatever `weights` says.

    With `weights` int8 or nf4 the decoder's frozen linear layers are kept so. The vision tower is not: each image
    passes it once, and its features serve every precision alike; nor are the output layer and what is new.
    """

    compute: Literal["auto", "fp32", "fp16", "bf16"]
    weights: Literal["fp32", "int8", "nf4"]

    def on(self, device: str) -> Arithmetic:
        """fp32, fp16 or bf16, as it will run on "cpu", "cuda" or "mps".

        Raises:
            UserError: the device has no fast arithmetic of that kind, or bitsandbytes is needed and not there.
        """
        if self.weights != "fp32":
            self._require_bitsandbytes(device)
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
        return nullcontext() if compute == "fp32" else torch.autocast(device, dtype=_DTYPE[compute])

    def loading(self, device: Device) -> Loading:
        """How the weights of a checkpoint are kept.

        In half precision what is not rounded stays as it was published: a product is computed in half precision
        anyway. In fp32 it is fp32 throughout.
        """
        dtype: torch.dtype | Literal["auto"] = torch.float32 if (compute := self.on(device)) == "fp32" else "auto"
        if self.weights == "fp32":
            return Loading(dtype, compute=_DTYPE[compute])
        return Loading(dtype, self.weights, _DTYPE[compute], device)

    def _require_bitsandbytes(self, device: str) -> None:
        if device == "mps":
            raise UserError(f"precision={self.weights} runs on a CUDA GPU or a CPU, not on mps. Take precision=fp32.")
        if find_spec("bitsandbytes") is None:
            raise UserError(
                f"precision={self.weights} needs bitsandbytes, which this Python lacks.\n"
                'Install: pip install -c constraints.txt -e ".[quantised]"   or take precision=auto.'
            )


def device_type(accelerator: str) -> Device:
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
