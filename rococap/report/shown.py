"""An image on a page, with what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from rococap.data.image import read
from rococap.types import Example, Prediction


@dataclass(frozen=True)
class Shown:
    """An image, its caption, and its own scores by name."""

    example: Example
    prediction: Prediction
    scores: Mapping[str, float]

    @cached_property
    def image(self) -> Image.Image:
        """In RGB; read once, since the parts of a page show it several times."""
        return read(self.example.image)
