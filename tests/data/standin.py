"""A processor as models bring it, without a model, and images without a dataset: for tests of the data."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rococap.data.image import BytesImage
from rococap.types import Example


@dataclass(frozen=True)
class Words:
    """Resizes bilinearly; one token a word, its length, and 0 as end and pad token alike."""

    image_size: tuple[int, int] = (32, 48)
    resample: Image.Resampling = Image.Resampling.BILINEAR
    pad_token_id: int = 0

    def pixels(self, image: Image.Image) -> np.ndarray:
        height, width = self.image_size
        return np.asarray(image.resize((width, height), self.resample)).transpose(2, 0, 1)

    def tokens(self, caption: str, limit: int) -> tuple[list[int], bool]:
        words = [len(word) for word in caption.split()]
        return [*words[: limit - 1], 0], len(words) >= limit


def noises(count: int, side: int = 24) -> list[Example]:
    """Small images of noise, all different."""
    rng = np.random.default_rng(0)
    examples = []
    for number in range(count):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).save(file, "PNG")
        examples.append(Example(str(number), BytesImage(file.getvalue(), f"noise {number}"), ("text",)))
    return examples
