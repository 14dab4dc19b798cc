"""How the weights of a checkpoint are kept in memory: chosen by the recipe's precision, obeyed by all that loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

# PEFT asks the flag which of its layers suits. On some CPUs bitsandbytes would repack weights of 4 bits in eval mode,
# to multiply them in bf16, and never back: nothing could be trained on them afterwards.
_ROUNDED = """\
base.is_loaded_in_{bits}bit = True
for module in base.modules():
    if hasattr(module, "support_avx512bf16_for_cpu"):
        module.support_avx512bf16_for_cpu = False  # products as in training
"""
_HALVES = (torch.float16, torch.bfloat16)
_HALF = """\
for parameter in base.parameters():
    if parameter.dtype in (torch.float16, torch.bfloat16):
        parameter.data = parameter.data.to({compute})  # as in training
"""


@dataclass(frozen=True)
class Loading:
    """By default all in fp32, which what trains is in any case.

    Rounded weights are rounded layer by layer while the file is read (Dettmers et al. 2022, arXiv:2208.07339, and 2023,
    arXiv:2305.14314), by bitsandbytes within transformers: the whole is never in memory in its published size.

    Attributes:
        dtype: of what is not rounded; auto leaves it as it was published.
        weights: int8 or nf4 round the decoder's linear layers; none rounds nothing.
        compute: what products are computed in; weights that were published in another half precision take it too.
        device: where rounded weights go while they are read.
        adapts: names of the decoder's linear layers that will get LoRA: refused before weights are read if not there.
    """

    dtype: torch.dtype | Literal["auto"] = torch.float32
    weights: Literal["none", "int8", "nf4"] = "none"
    compute: torch.dtype = torch.float32
    device: str = "cpu"
    adapts: tuple[str, ...] = ()

    def arguments(self, keep: Sequence[str]) -> dict[str, Any]:
        """Arguments of `from_pretrained`.

        Args:
            keep: modules that are not rounded: the vision tower, the output layer, what is new. Beginnings of their
                names up to a dot, or regular expressions for them.
        """
        if self.weights == "none":
            return {"dtype": self.dtype}
        from transformers import BitsAndBytesConfig

        config = BitsAndBytesConfig(**self._settings(keep))
        return {"dtype": self.dtype, "quantization_config": config, "device_map": {"": self.device}}

    def code(self, keep: Sequence[str]) -> str:
        """The same as Python text, for a README: `dtype=torch.float32`, with `torch` and `transformers` imported."""
        dtype = f"dtype={self.dtype!r}"
        if self.weights == "none":
            return dtype
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings(keep).items())
        return f"{dtype}, quantization_config=transformers.BitsAndBytesConfig({settings})"

    @property
    def finishing(self) -> str:
        """What `finish_loading` does, as Python text that follows where `base` was built; empty where nothing."""
        rounded = _ROUNDED.format(bits={"int8": 8, "nf4": 4}[self.weights]) if self.weights != "none" else ""
        return rounded + (_HALF.format(compute=self.compute) if self.compute in _HALVES else "")

    def _settings(self, keep: Sequence[str]) -> dict[str, Any]:
        if self.weights == "int8":
            return {"load_in_8bit": True, "llm_int8_threshold": 6.0, "llm_int8_skip_modules": list(keep)}
        return {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": self.compute,
            "llm_int8_skip_modules": list(keep),
        }


def finish_loading(network: Any, loading: Loading) -> None:
    """Finish a network that was read so, whole or put together of parts that were; it may be called twice.

    Two kinds of half precision do not go together: autocast to one of them refuses to join tensors of both.
    """
    if loading.weights != "none":
        network.is_loaded_in_8bit, network.is_loaded_in_4bit = loading.weights == "int8", loading.weights == "nf4"
        for module in network.modules():
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
    if loading.compute in _HALVES:
        for parameter in network.parameters():
            if parameter.dtype in _HALVES:
                parameter.data = parameter.data.to(loading.compute)
