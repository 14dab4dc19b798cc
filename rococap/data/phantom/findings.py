"""What there is to find in a phantom image: lesions, drawn into a body."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rococap.data.phantom.strokes import SIDE, Picture, X, Y, inside, noise
from rococap.data.phantom.vocabulary import Facts

RADIUS = {"small": (6.0, 7.5), "large": (11.0, 13.5)}  # pixels
NUMBER = {"one": 1, "two": 2, "three": 3}

# A lesion changes a picture in place; x and y are coordinates around its centre, r is its radius, all in pixels.
Lesion = Callable[[Picture, Picture, Picture, float, np.random.Generator], None]


def add_findings(picture: Picture, facts: Facts, centre: tuple[float, float], rng: np.random.Generator) -> None:
    """Draw the lesions that `facts` names, close together around `centre` (x, y)."""
    number, radius = NUMBER[facts["count"]], rng.uniform(*RADIUS[facts["size"]])
    lesion = LESIONS[facts["modality"], facts["kind"]]
    apart = 0.0 if number == 1 else (1.1 * radius + rng.uniform(4, 6)) * (1 if number == 2 else 1.15)
    first = rng.uniform(0, 2 * np.pi)
    for angle in first + 2 * np.pi * np.arange(number) / number:
        cx = float(centre[0] + rng.uniform(-4, 4) * (number == 1) + apart * np.cos(angle))
        cy = float(centre[1] + rng.uniform(-4, 4) * (number == 1) + apart * np.sin(angle))
        r = radius * rng.uniform(0.92, 1.08)
        reach = int(2.2 * r + 4)  # a lesion and its halo; on ultrasound its shadow runs on below
        columns = slice(max(int(cx) - reach, 0), int(cx) + reach)
        rows = slice(max(int(cy) - reach, 0), SIDE if facts["modality"] == "ultrasound" else int(cy) + reach)
        x, y = X[rows, columns] - cx, Y[rows, columns] - cy
        lesion(picture[rows, columns], x, y, r, rng)


def _blob(x: Picture, y: Picture, r: float, rng: np.random.Generator, lobes: float = 0.08) -> Picture:
    """Distance in pixels, positive inside, from the edge of a disc with a wavy outline."""
    angle = np.arctan2(y, x)
    waves = sum(rng.uniform(-lobes, lobes) * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 5))
    return r * (1 + waves) - np.hypot(x, y)


def _blend(picture: Picture, mask: Picture, level: float | Picture) -> None:
    picture += mask * (level - picture)


def hemorrhage(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Fresh blood on CT: bright, with a thin dark rim of oedema."""
    edge = _blob(x, y, r, rng, 0.12)
    _blend(picture, inside(edge + 0.25 * r + 1, 3) * 0.5, 0.3)
    _blend(picture, inside(edge, 2.5), rng.uniform(0.72, 0.82))


def infarct(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Dead tissue on CT: dark, its edge blurred."""
    _blend(picture, inside(_blob(x, y, 1.08 * r, rng, 0.12), 0.45 * r) * 0.9, rng.uniform(0.16, 0.23))


def abscess(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Pus on CT after contrast: a dark centre in a bright ring."""
    edge = _blob(x, y, 1.1 * r, rng, 0.05)
    _blend(picture, inside(edge, 2), rng.uniform(0.78, 0.9))
    _blend(picture, inside(edge - max(2.2, 0.25 * r), 1.5), rng.uniform(0.15, 0.22))


def brain_calcification(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Calcium on CT: as white as bone, ragged and sharp."""
    crumbs = [_blob(x - a, y - b, 0.5 * r, rng, 0.2) for a, b in rng.uniform(-0.55 * r, 0.55 * r, (4, 2))]
    _blend(picture, inside(np.maximum.reduce(crumbs), 1), rng.uniform(0.96, 1.0))


def nodule(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """A round density in the lung."""
    picture += inside(_blob(x, y, r, rng, 0.04), 3) * rng.uniform(0.26, 0.36)


def consolidation(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Fluid in the airspaces: a cloudy patch without an edge."""
    puffs = [_blob(x - a, y - b, 0.85 * r, rng) for a, b in rng.uniform(-0.45 * r, 0.45 * r, (4, 2))]
    cloud = inside(np.maximum.reduce(puffs), 0.9 * r)
    picture += cloud * (rng.uniform(0.24, 0.34) + 0.05 * noise(rng, 40)[: cloud.shape[0], : cloud.shape[1]])


def cavity(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """A hole in the lung: a white wall around air."""
    edge = _blob(x, y, 1.15 * r, rng, 0.04)
    wall = inside(edge, 1.5) - inside(edge - max(2.2, 0.22 * r), 1.5)
    _blend(picture, inside(edge, 2), 0.14)
    _blend(picture, wall, rng.uniform(0.72, 0.85))


def cyst(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Fluid on ultrasound: black and sharp, the tissue behind it brighter."""
    behind = inside(0.8 * r - np.abs(x), 3) * inside(y, 3) * np.exp(-np.clip(y - r, 0, None) / (1.2 * r))
    picture += 0.25 * behind
    _blend(picture, inside(_blob(x, y, 1.05 * r, rng, 0.04), 1.5), 0.02)


def thyroid_calcification(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Calcium on ultrasound: a white cap that throws a black shadow."""
    _blend(picture, inside(0.8 * r - np.abs(x), 2.5) * inside(y, 3) * 0.85, 0.02)
    cap = inside(_blob(x, y, r, rng, 0.05), 1.5) * inside(0.1 * r - y, 2)
    _blend(picture, cap, 1.0)


def thyroid_nodule(picture: Picture, x: Picture, y: Picture, r: float, rng: np.random.Generator) -> None:
    """Solid tissue on ultrasound: bright, in a thin dark halo."""
    edge = _blob(x, y, r, rng, 0.06)
    _blend(picture, inside(edge + 2.5, 1.5), 0.15)
    _blend(picture, inside(edge, 1.5), rng.uniform(0.8, 0.95))


LESIONS: dict[tuple[str, str], Lesion] = {
    ("ct", "hemorrhage"): hemorrhage,
    ("ct", "infarct"): infarct,
    ("ct", "abscess"): abscess,
    ("ct", "calcification"): brain_calcification,
    ("radiograph", "nodule"): nodule,
    ("radiograph", "consolidation"): consolidation,
    ("radiograph", "cavity"): cavity,
    ("ultrasound", "cyst"): cyst,
    ("ultrasound", "calcification"): thyroid_calcification,
    ("ultrasound", "nodule"): thyroid_nodule,
}

# Which findings a modality shows.
KINDS: dict[str, tuple[str, ...]] = {
    modality: tuple(kind for other, kind in LESIONS if other == modality) for modality, _ in LESIONS
}
