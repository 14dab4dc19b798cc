"""Encoding, asking and looking by a recipe: on its device, in its precision, by its decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rococap.models.base import Captioner, Model
from rococap.models.detector import Detector
from rococap.recipe.recipe import Recipe
from rococap.types import Said

# Features and what stands before each caption, if anything -> what is said.
Asking = Callable[..., list[Said]]
# uint8 [batch, 3, height, width] and captions -> see `Captioner.attend`.
Attending = Callable[[Tensor, list[str]], Tensor]


def encoding(captioner: Model, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """From `uint8 [batch, 3, height, width]` to features, on the recipe's device and in its precision."""
    device, precision = recipe.device, recipe.precision

    def encode(pixel_values: Tensor) -> Tensor:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.encode(pixel_values.to(device))

    return encode


def asking(captioner: Model, recipe: Recipe) -> Asking:
    """From features to what a model says of each image, on the recipe's device, in its precision, by its decoding."""
    device, precision = recipe.device, recipe.precision

    def ask(features: Tensor, prompts: Sequence[Sequence[int]] = ()) -> list[Said]:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.predict(features.to(device).float(), recipe.decoding.options, prompts)

    return ask


def attending(captioner: Captioner, recipe: Recipe) -> Attending:
    """From images and their captions to where the captioner looks, on the recipe's device and in its precision."""
    device, precision, encode = recipe.device, recipe.precision, encoding(captioner, recipe)

    def attend(pixel_values: Tensor, captions: list[str]) -> Tensor:
        features = encode(pixel_values).float()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.attend(features, captions)

    return attend


def attending_labels(detector: Detector, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """From images to where a detector looks for each label, see `Detector.attend`."""
    precision, encode = recipe.precision, encoding(detector, recipe)

    def attend(pixel_values: Tensor) -> Tensor:
        features = encode(pixel_values).float()
        with torch.inference_mode(), precision.autocast(recipe.device):
            return detector.attend(features)

    return attend
