"""Small random changes of training images, on batches and on their device. None mirrors: captions name sides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augment:
    """Draws each image's own changes, evenly between -1 and 1 times each setting, from torch's generator.

    Attributes:
        rotation: degrees, to either side.
        shift: share of the image's width and height; what comes in from outside is black.
        scale: share by which the image grows or shrinks.
        brightness: added, as a share of the full range.
        contrast: share by which the distance from the image's mean grows or shrinks.
        gamma: values are raised to the power 1 + it, or to the inverse of that.
        noise: standard deviation of normal noise, as a share of the full range; drawn between 0 and this.
    """

    rotation: float
    shift: float
    scale: float
    brightness: float
    contrast: float
    gamma: float
    noise: float

    def __call__(self, pixel_values: Tensor) -> Tensor:
        """uint8 [batch, 3, height, width] to the same."""
        images = self._move(pixel_values.float() / 255)
        draw = [_evenly(images) for _ in range(3)]  # [batch, 1, 1, 1] each
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * (1 + self.contrast * draw[0]) + self.brightness * draw[1]
        images = images.clamp(0, 1) ** torch.exp(math.log1p(self.gamma) * draw[2])
        spread = self.noise * torch.rand_like(mean)
        # One noise for the three channels: X-ray, CT and ultrasound are grey.
        images = images + spread * torch.randn_like(images[:, :1])
        return (images.clamp(0, 1) * 255).round().to(torch.uint8)

    def _move(self, images: Tensor) -> Tensor:
        """Rotate, scale and shift about the centre, bilinear."""
        height, width = images.shape[-2:]
        angle, zoom, right, down = (_evenly(images).flatten() for _ in range(4))
        angle = math.radians(self.rotation) * angle
        zoom = 1 / (1 + self.scale * zoom)
        # affine_grid looks up where each pixel comes from, in units of half the width and half the height.
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        rows = [
            torch.stack([cos, -sin * height / width, 2 * self.shift * right], dim=1),
            torch.stack([sin * width / height, cos, 2 * self.shift * down], dim=1),
        ]
        grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, align_corners=False)


def none() -> None:
    """Images as they are."""


def sheet(augment: Callable[[Tensor], Tensor], pixel_values: Tensor, times: int) -> Image.Image:
    """What it does, to look at: each image of `uint8 [batch, 3, height, width]` in a row, then `times` draws of it."""
    with torch.random.fork_rng():
        columns = [pixel_values, *(augment(pixel_values) for _ in range(times))]
    batch, channels, height, width = pixel_values.shape
    tiles = torch.stack(columns, dim=1).permute(0, 3, 1, 4, 2)  # [batch, height, column, width, 3]
    return Image.fromarray(tiles.reshape(batch * height, len(columns) * width, channels).cpu().numpy())


def _evenly(images: Tensor) -> Tensor:
    """`[batch, 1, 1, 1]` between -1 and 1, from torch's generator of the images' device."""
    return 2 * torch.rand(len(images), 1, 1, 1, device=images.device) - 1
