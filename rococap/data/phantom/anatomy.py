"""What a phantom image shows before there is anything to find: a head CT, a chest radiograph, a neck ultrasound.

Each function draws one body, different for each generator, as float [224, 224] with 0 black and 1 white, and says
where in it a finding may lie. Sides are the patient's: the right one is on the left of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rococap.data.phantom.strokes import SIDE, Picture, X, Y, inside, noise, turned


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A body without findings, and the centre (x, y) in pixels of every place by (side, place)."""

    picture: Picture
    centres: dict[tuple[str, str], tuple[float, float]]


def head_ct(rng: np.random.Generator) -> Anatomy:
    """An axial slice through the brain: skull, cortex, ventricles, falx."""
    cx, cy, a, b = 112 + rng.normal(0, 3), 112 + rng.normal(0, 3), rng.uniform(70, 80), rng.uniform(86, 96)
    u, v = turned(X - cx, Y - cy, rng.normal(0, 0.05))
    deep = (1 - np.hypot(u / a, v / b)) * (a + b) / 2  # pixels inside the skull's outer face
    bone = rng.uniform(5, 8)
    brain = rng.uniform(0.4, 0.48) + 0.025 * noise(rng, 9) + 0.03 * np.sin(deep / 4 + noise(rng, 12))
    brain -= 0.12 * inside(bone + 5 - deep, 4) * (noise(rng, 26) > 0.3)  # sulci
    for side in (-1, 1):
        for end, length in ((-1, 20), (1, 16)):  # frontal and occipital horns
            p, q = turned(u - side * rng.uniform(9, 12), v - end * rng.uniform(22, 27), -side * end * 0.35)
            brain -= rng.uniform(0.2, 0.27) * inside((1 - np.hypot(p / rng.uniform(4, 6.5), q / length)) * 6, 2)
    brain += 0.2 * inside(1 - np.abs(u), 1.5) * inside(np.abs(v) - 0.55 * b, 3)  # falx
    picture = 0.02 + 0.26 * inside(deep + 6, 2) * (1 - inside(deep, 2))  # scalp
    picture += inside(deep, 1.5) * (rng.uniform(0.85, 0.98) - picture)
    picture += inside(deep - bone, 1.5) * (brain - picture)
    rows = {"frontal": -0.42 * b, "parietal": 0.0, "occipital": 0.42 * b}
    return Anatomy(picture, _centres(cx, cy, dict.fromkeys(rows, 0.42 * a), rows))


def chest_radiograph(rng: np.random.Generator) -> Anatomy:
    """A frontal view: lungs, heart, diaphragm, spine, ribs, clavicles."""
    cx, wide, base = 112 + rng.normal(0, 3), rng.uniform(40, 46), rng.uniform(158, 172)
    u = X - cx
    dome = base + 0.007 * (np.abs(u) - 45) ** 2 - 4 * (u < 0)  # the patient's right dome stands higher
    lungs = np.zeros((SIDE, SIDE), np.float32)
    for side in (-1, 1):
        across = (u - side * wide) / (rng.uniform(33, 37) * (0.72 + 0.28 * np.clip((Y - 25) / 90, 0, 1)))
        down = (Y - 112) / rng.uniform(84, 90)
        lungs = np.maximum(lungs, inside((1 - (np.abs(across) ** 2.4 + np.abs(down) ** 2.4)) * 22, 5))
    lungs *= inside(dome - Y, 5)
    body = rng.uniform(0.55, 0.66) + 0.12 * (Y / SIDE - 0.5) + 0.02 * noise(rng, 8)
    body -= 0.5 * inside(np.abs(u) - rng.uniform(96, 104) + 14 * np.cos(Y / 60), 12)  # air beside the chest
    heart = inside((1 - np.hypot((u - 16) / rng.uniform(34, 40), (Y - base + 30) / rng.uniform(36, 42))) * 30, 6)
    air = lungs * (1 - heart) * (1 - inside(13 - np.abs(u), 5))
    picture = body - air * rng.uniform(0.32, 0.4)
    picture += 0.08 * inside(8 - np.abs(u), 3) * (0.7 + 0.3 * np.sin(Y / 2.6))  # vertebrae
    gap, slope = rng.uniform(17, 20), rng.uniform(0.25, 0.4)
    ribs = np.sin((Y - slope * np.abs(u) + 0.0035 * u**2) * 2 * np.pi / gap + rng.uniform(0, 6))
    picture += 0.055 * np.clip(ribs, -0.2, 1) * (0.25 + 0.75 * air)
    clavicle = np.abs(Y - rng.uniform(36, 42) + 0.16 * np.abs(u) - 6 * np.sin(np.abs(u) / 24))
    picture += 0.12 * inside(3 - clavicle, 2) * inside(np.abs(u) - 12, 3) * inside(92 - np.abs(u), 8)
    picture += 0.05 * air * noise(rng, 20) * np.exp(-((np.abs(u) - 24) ** 2) / 400)  # vessels at the hila
    rows = {"upper": 66.0, "middle": 102.0, "lower": 138.0}
    return Anatomy(picture, _centres(cx, 0, {"upper": wide - 2, "middle": wide + 2, "lower": wide + 6}, rows))


def neck_ultrasound(rng: np.random.Generator) -> Anatomy:
    """A transverse view of the thyroid: strap muscles, two lobes, trachea with its shadow, carotids.

    Echo strength only: `speckled` adds the grain and the fan, after findings were drawn.
    """
    cx, cy = 112 + rng.normal(0, 4), rng.uniform(108, 118)
    u = X - cx
    picture = 0.26 + 0.05 * noise(rng, 10) + 0.05 * np.sin(Y / rng.uniform(2.5, 4) + 0.6 * noise(rng, 6))
    lobe = rng.uniform(0.42, 0.52)
    for side in (-1, 1):
        p, q = turned(u - side * 48, Y - cy, side * rng.uniform(-0.1, 0.25))
        gland = (1 - np.hypot(p / rng.uniform(40, 45), q / rng.uniform(46, 52))) * 40
        picture += inside(gland, 3) * (lobe - picture)
        picture += 0.15 * np.exp(-(gland**2) / 4)  # capsule
        vessel = np.hypot(u - side * rng.uniform(97, 102), Y - cy - rng.uniform(8, 26))
        picture += inside(rng.uniform(9, 13) - vessel, 2) * (0.03 - picture)
    ring = np.hypot(u, (Y - cy - 8) * 1.15)
    picture += inside(24 - ring, 2) * (0.08 - picture) + inside(14 - np.abs(u), 6) * inside(Y - cy, 9) * -0.2
    picture += rng.uniform(0.35, 0.5) * np.exp(-((ring - 24) ** 2) / 8) * inside(cy + 4 - Y, 6)
    picture += 0.35 * np.exp(-((Y - 32 - 0.002 * u**2) ** 2) / rng.uniform(4, 12))  # fascia
    rows = {"superficial": cy - 23, "deep": cy + 24}
    return Anatomy(picture.clip(0.02, 1), _centres(cx, 0, dict.fromkeys(rows, 47.0), rows))


def speckled(picture: Picture, rng: np.random.Generator) -> Picture:
    """An ultrasound scanner's image of an echo map: multiplicative speckle, gain falling with depth, the fan."""
    grain = np.hypot(noise(rng, 100), noise(rng, 100)) / 1.25  # Rayleigh: the length of two normal components
    seen: Picture = picture * (0.45 + 0.55 * grain) * (1.1 - 0.35 * Y / SIDE) + 0.015
    apex = -rng.uniform(52, 66)
    far = np.hypot(X - 112, Y - apex)
    angle = np.abs(np.arctan2(X - 112, Y - apex))
    fan = inside((rng.uniform(0.6, 0.68) - angle) * 120, 2) * inside(216 - apex - far, 2) * inside(far + apex - 12, 2)
    seen *= fan
    return seen


def _centres(
    cx: float, cy: float, away: dict[str, float], rows: dict[str, float]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Centres mirrored about the midline `cx`: the patient's right at smaller x."""
    signs = {"right": -1, "left": 1}
    return {
        (side, place): (cx + sign * away[place], cy + rows[place]) for side, sign in signs.items() for place in rows
    }


ANATOMY: dict[str, Callable[[np.random.Generator], Anatomy]] = {
    "ct": head_ct,
    "radiograph": chest_radiograph,
    "ultrasound": neck_ultrasound,
}
