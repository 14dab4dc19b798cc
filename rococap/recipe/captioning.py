"""Encoding, captioning and looking by a recipe: on its device, in its precision, by its decoding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rococap.models.base import Captioner
from rococap.recipe.recipe import Recipe

# uint8 [batch, 3, height, width] and captions -> see `Captioner.attend`.
Attending = Callable[[Tensor, list[str]], Tensor]


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


def attending(captioner: Captioner, recipe: Recipe) -> Attending:
    """From images and their captions to where the captioner looks, on the recipe's device and in its precision."""
    device, precision, encode = recipe.device, recipe.precision, encoding(captioner, recipe)

    def attend(pixel_values: Tensor, captions: list[str]) -> Tensor:
        features = encode(pixel_values).float()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.attend(features, captions)

    return attend
