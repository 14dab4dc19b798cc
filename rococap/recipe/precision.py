"""The numbers that a run computes in, and those that its frozen weights are kept in. Nowhere else is a dtype chosen."""

from __future__ import annotations

import inspect
import logging
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from rococap.types import UserError

Device = Literal["cpu", "cuda", "mps"]
Arithmetic = Literal["fp32", "fp16", "bf16"]

_LIGHTNING: dict[str, Literal["32-true", "16-mixed", "bf16-mixed"]] = {
    "fp32": "32-true",
    "fp16": "16-mixed",
    "bf16": "bf16-mixed",
}
_DTYPE = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_LINEAR = (nn.Linear, Conv1D)
_README = """\

from fnmatch import fnmatch

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D


{source}

# As in training. Without this line the base keeps its full precision, and the captions may differ a little.
quantise(base, {weights!r}, torch.float32, {keep!r})
"""


class Quantisable(Protocol):
    """What of a captioner is needed to quantise it; `rococap.models.base.Captioner` says what each is."""

    network: Any
    new: frozenset[str]
    base_code: str

    @property
    def tower(self) -> nn.Module: ...


@dataclass(frozen=True)
class Precision:
    """What the recipe asks for: matrix products run in `compute`; what trains stays in fp32, whatever `weights` says.

    With `weights` int8 or nf4 the decoder's frozen linear layers are kept so (Dettmers et al. 2022, arXiv:2208.07339,
    and 2023, arXiv:2305.14314). The vision tower is not: each image passes it once, and its features serve every
    precision alike.
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

    def quantise(self, captioner: Quantisable, device: str) -> None:
        """Round what the recipe says, in place, before anything is adapted; nothing where weights=fp32.

        Left as they are: the vision tower, the output layer, and layers with new weights, which must train.
        """
        if self.weights == "fp32":
            return
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns at each step that int8 rounds its input
        network = captioner.network
        names = {module: name for name, module in network.named_modules()}
        new = [name.rpartition(".")[0] for name in captioner.new]
        new = [re.sub(r"\.\d+\.", ".*.", name) for name in new if isinstance(network.get_submodule(name), _LINEAR)]
        keep = (f"{names[captioner.tower]}.*", names[network.get_output_embeddings()], *sorted(set(new)))
        quantise(network, self.weights, _DTYPE[self.on(device)], keep)
        source = inspect.getsource(quantise)
        captioner.base_code += _README.format(source=source, weights=self.weights, keep=keep)

    def _require_bitsandbytes(self, device: str) -> None:
        if device == "mps":
            raise UserError(f"precision={self.weights} runs on a CUDA GPU or a CPU, not on mps. Take precision=fp32.")
        if find_spec("bitsandbytes") is None:
            raise UserError(
                f"precision={self.weights} needs bitsandbytes, which this Python lacks.\n"
                'Install: pip install -c constraints.txt -e ".[quantised]"   or take precision=auto.'
            )


def quantise(network: PreTrainedModel, weights: str, compute: torch.dtype, keep: tuple[str, ...]) -> None:
    """Replace linear layers by those of bitsandbytes, int8 or nf4, but for the names that match a pattern of `keep`."""
    import bitsandbytes

    for name, layer in list(network.named_modules()):
        if not isinstance(layer, (nn.Linear, Conv1D)) or any(fnmatch(name, pattern) for pattern in keep):
            continue
        weight = layer.weight.data if isinstance(layer, nn.Linear) else layer.weight.data.T.contiguous()
        width = {"input_features": weight.shape[1], "output_features": weight.shape[0], "bias": layer.bias is not None}
        if weights == "int8":
            rounded = bitsandbytes.nn.Linear8bitLt(**width, has_fp16_weights=False, threshold=6.0)
        else:
            rounded = bitsandbytes.nn.Linear4bit(**width, compute_dtype=compute, quant_type="nf4")
            rounded.support_avx512bf16_for_cpu = False  # it would repack the weights in eval mode, and never back
        rounded.weight.data, rounded.bias = weight, layer.bias
        network.set_submodule(name, rounded.requires_grad_(False).to("cpu"))  # rounds it
    network.is_loaded_in_8bit, network.is_loaded_in_4bit = weights == "int8", weights == "nf4"  # for PEFT


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
