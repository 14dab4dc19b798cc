"""Captioning by a recipe: on its device, in its precision, by its decoding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rococap.models.base import Captioner
from rococap.recipe.recipe import Recipe


def encoding(captioner: Captioner, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """From `uint8 [batch, 3, height, width]` to features, on the recipe's device and in its precision."""
    device, precision = recipe.device, recipe.precision

    def encode(pixel_values: Tensor) -> Tensor:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.encode(pixel_values.to(device))

    return encode


def captioning(captioner: Captioner, recipe: Recipe) -> Callable[[Tensor], list[str]]:
    """From features to captions, on the recipe's device, in its precision and by its decoding."""
    device, precision = recipe.device, recipe.precision

    def caption(features: Tensor) -> list[str]:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.generate(features.to(device).float(), **recipe.decoding.options)

    return caption
