"""The few strokes that phantom images are drawn with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.floating[Any]]  # [224, 224], 0 black, 1 white
SIDE = 224  # pixels
Y, X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)


def inside(distance: Picture, edge: float) -> Picture:
    """1 where `distance` (pixels, positive inside) is well inside, 0 outside; the edge is `edge` pixels wide."""
    cover: Picture = np.clip(distance / edge + 0.5, 0, 1)
    return cover


def turned(x: Picture, y: Picture, angle: float) -> tuple[Picture, Picture]:
    """Coordinates in a frame turned by `angle` radians."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def noise(rng: np.random.Generator, cells: int) -> Picture:
    """Smooth noise of about unit variance, with `cells` bumps along a side."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
