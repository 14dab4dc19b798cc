"""Captioning by a recipe: on its device, in its precision, by its decoding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from omegaconf import DictConfig
from torch import Tensor

from rococap.config import build
from rococap.models.base import Captioner
from rococap.recipe.precision import Precision, device_type


def encoding(captioner: Captioner, cfg: DictConfig) -> Callable[[Tensor], Tensor]:
    """From `uint8 [batch, 3, height, width]` to features, on the recipe's device and in its precision."""
    device = device_type(cfg.trainer.accelerator)
    precision: Precision = build(cfg.precision)

    def encode(pixel_values: Tensor) -> Tensor:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.encode(pixel_values.to(device))

    return encode


def captioning(captioner: Captioner, cfg: DictConfig) -> Callable[[Tensor], list[str]]:
    """From features to captions, on the recipe's device, in its precision and by its decoding."""
    device = device_type(cfg.trainer.accelerator)
    precision: Precision = build(cfg.precision)

    def caption(features: Tensor) -> list[str]:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.generate(features.to(device).float(), **decoding(cfg))

    return caption


def decoding(cfg: DictConfig) -> dict[str, int]:
    """The recipe's arguments of `Captioner.generate`."""
    return {"max_new_tokens": cfg.decoding.max_new_tokens, "num_beams": cfg.decoding.num_beams}
