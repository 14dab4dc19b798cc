"""Simple scenes, drawn: shapes on a wall, a plate, a window, under a lamp. What the tiny captioner is pretrained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scene_words import ACROSS, COUNTS, DOWN, GROUNDS, SHAPES, SIZES, Scene, caption

Array = NDArray[np.floating[Any]]
SIDE = 224  # pixels
YS, XS = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0.2, 1), "yellow": (1, 0.9, 0)}


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn scene, or several in one picture.

    Attributes:
        pixels: uint8 [224, 224, 3].
        cover: float16 [112, 112], the share of each 2 x 2 pixels that shapes cover.
        owner: int8 [14, 14], which of `scenes` shows most in each patch of 16 x 16 pixels, -1 for none.
        scenes: the truth, all on the same ground and each at another place.
        captions: one for each scene.
    """

    pixels: NDArray[np.uint8]
    cover: NDArray[np.float16]
    owner: NDArray[np.int8]
    scenes: tuple[Scene, ...]
    captions: tuple[str, ...]


def draw(seed: int, index: int, hardness: float = 1.0, crowd: int = 1) -> Picture:
    """Always the same for the same arguments.

    Args:
        seed, index: of the picture.
        hardness: 0 to 1; at 0 contrasts are strong and nothing distracts.
        crowd: scenes in the picture; their captions begin with the place if there are several.
    """
    rng = np.random.default_rng((seed, index))
    scenes = invent(crowd, rng)
    picture = GROUND[scenes[0].ground](rng)
    picture = picture + hardness * clutter(rng)
    picture = np.repeat(picture[..., None], 3, axis=2)
    if rng.random() < 0.3:
        picture *= rng.uniform(0.75, 1.15, 3).astype(np.float32)
    covers = np.zeros((len(scenes), SIDE, SIDE), np.float32)
    for scene, cover in zip(scenes, covers, strict=True):
        if scene.count:
            place(picture, cover, scene, hardness, rng)
    shown = covers.reshape(-1, 14, 16, 14, 16).mean(axis=(2, 4))
    owner = np.where(covers.reshape(-1, 14, 16, 14, 16).max(axis=(0, 2, 4)) > 0.5, shown.argmax(axis=0), -1)
    cover = covers.max(axis=0).reshape(112, 2, 112, 2).mean(axis=(1, 3))
    captions = tuple(caption(scene, rng, place_first=crowd > 1) for scene in scenes)
    return Picture(
        photograph(picture, hardness, rng), cover.astype(np.float16), owner.astype(np.int8), scenes, captions
    )


def invent(crowd: int, rng: np.random.Generator) -> tuple[Scene, ...]:
    """The facts. Of a single scene they are independent; one in 15 is empty, one in four in colour.

    In a crowd big shapes are alone, so that they do not cover each other.
    """
    ground = str(rng.choice(GROUNDS))
    if crowd == 1 and rng.random() < 1 / 15:
        return (Scene(ground),)
    scenes = []
    for cell in rng.choice(9, crowd, replace=False):
        tones = tuple(COLOURS) if rng.random() < 0.25 else ("bright", "dark")
        count, size, tone, shape = (str(rng.choice(kind)) for kind in (COUNTS, SIZES, tones, SHAPES))
        if crowd > 1 and size == "big":
            count = "one"
        scenes.append(Scene(ground, count, size, tone, shape, ACROSS[cell % 3], DOWN[cell // 3]))
    return tuple(scenes)


# Grounds: float [224, 224], mid-grey with variation, so that brighter and darker both have room.


def texture(rng: np.random.Generator, cells: int) -> Array:
    """Smooth noise of about unit variance with `cells` bumps along a side."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def wall(rng: np.random.Generator) -> Array:
    slope = (XS * rng.uniform(-1, 1) + YS * rng.uniform(-1, 1)) / SIDE
    picture: Array = rng.uniform(0.3, 0.6) + 0.15 * slope + 0.05 * texture(rng, int(rng.integers(3, 30)))
    return picture


def plate(rng: np.random.Generator) -> Array:
    a, b = rng.uniform(88, 110, 2)
    from_rim = (1 - np.hypot((XS - 112 - rng.normal(0, 4)) / a, (YS - 112 - rng.normal(0, 4)) / b)) * 100
    table, dish = rng.uniform(0, 0.15), rng.uniform(0.3, 0.55)
    rim = rng.uniform(0.1, 0.3) * np.exp(-((from_rim - rng.uniform(3, 8)) ** 2) / rng.uniform(4, 30))
    picture: Array = table + (dish - table) * cover(from_rim, 2) + rim + 0.05 * texture(rng, int(rng.integers(4, 24)))
    return picture


def window(rng: np.random.Generator) -> Array:
    left, right = rng.uniform(8, 28), SIDE - rng.uniform(8, 28)
    bar = rng.uniform(0, SIDE / 2) + SIDE / 4
    panes = np.maximum.reduce([left - XS, XS - right, 12 - YS, YS - 212, rng.uniform(3, 7) - np.abs(XS - bar)])
    frame, sky = rng.uniform(0.55, 0.8), rng.uniform(0.2, 0.5)
    return sky + (frame - sky) * cover(panes, 2) + 0.06 * texture(rng, int(rng.integers(2, 9)))


def lamp(rng: np.random.Generator) -> Array:
    top, spread = rng.uniform(-70, -30), rng.uniform(0.65, 0.95)
    angle = np.abs(np.arctan2(XS - 112 - rng.normal(0, 5), YS - top))
    cone = cover((spread - angle) * 100, 3) * cover(rng.uniform(205, 222) - top - np.hypot(XS - 112, YS - top), 3)
    grain = 1 + 0.3 * texture(rng, int(rng.integers(60, 112)))
    return 0.03 + cone * rng.uniform(0.3, 0.5) * grain


def fence(rng: np.random.Generator) -> Array:
    step, bend = rng.uniform(14, 34), rng.uniform(-0.002, 0.002)
    along = XS if rng.random() < 0.5 else YS
    across = (YS if along is XS else XS) - 112
    stripes = np.sin((along + bend * across**2 + rng.uniform(-0.4, 0.4) * across) * 2 * np.pi / step)
    picture: Array = rng.uniform(0.35, 0.55) + rng.uniform(0.05, 0.14) * stripes + 0.03 * texture(rng, 16)
    return picture


def hills(rng: np.random.Generator) -> Array:
    picture = np.full((SIDE, SIDE), rng.uniform(0.3, 0.6), np.float32)
    for _ in range(int(rng.integers(2, 5))):
        ridge = rng.uniform(30, 200) + rng.uniform(5, 25) * np.sin(XS / rng.uniform(15, 45) + rng.uniform(0, 6))
        picture += rng.uniform(-0.15, 0.15) * cover(YS - ridge, rng.uniform(1, 6))
    picture = picture.clip(0.2, 0.7)
    picture += 0.03 * texture(rng, 20)
    return picture


GROUND: dict[str, Callable[[np.random.Generator], Array]] = {
    "wall": wall, "plate": plate, "window": window, "lamp": lamp, "fence": fence, "hills": hills,
}  # fmt: skip


def clutter(rng: np.random.Generator) -> Array:
    """Faint large patches and thin lines that no caption mentions: what is told must be told apart from them."""
    extra = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(int(rng.integers(0, 4))):
        x, y, a, b = rng.uniform(20, 204, 2).tolist() + rng.uniform(25, 70, 2).tolist()
        extra += rng.uniform(-0.1, 0.1) * cover((1 - np.hypot((XS - x) / a, (YS - y) / b)) * min(a, b), 6)
    for _ in range(int(rng.integers(0, 3))):
        angle = rng.uniform(0, np.pi)
        off = np.abs((XS - rng.uniform(0, SIDE)) * np.sin(angle) - (YS - rng.uniform(0, SIDE)) * np.cos(angle))
        extra += rng.uniform(-0.12, 0.12) * cover(1.5 - off, 1.5)
    return extra


# Shapes: signed distances in pixels, positive inside, of a shape of radius r at the origin.


def star(x: Array, y: Array, r: float, rng: np.random.Generator) -> Array:
    inside: Array = r * (0.72 + 0.36 * np.cos(5 * np.arctan2(y, x))) - np.hypot(x, y)
    return inside


def triangle(x: Array, y: Array, r: float, rng: np.random.Generator) -> Array:
    inside: Array = 0.55 * r - np.maximum(y, np.abs(x) * np.sqrt(3) / 2 - y / 2)
    return inside


def cross(x: Array, y: Array, r: float, rng: np.random.Generator) -> Array:
    return np.minimum(1.1 * r - np.maximum(np.abs(x), np.abs(y)), 0.28 * r - np.minimum(np.abs(x), np.abs(y)))


def cloud(x: Array, y: Array, r: float, rng: np.random.Generator) -> Array:
    puffs = [r * 0.7 - np.hypot(x - r * 0.55 * np.cos(t), y - r * 0.4 * np.sin(t)) for t in rng.uniform(0, 6.3, 4)]
    inside: Array = np.maximum.reduce(puffs)
    return inside


SHAPE: dict[str, Callable[[Array, Array, float, np.random.Generator], Array]] = {
    "ball": lambda x, y, r, _: r - np.hypot(x, y),
    "ring": lambda x, y, r, _: 0.2 * r - np.abs(np.hypot(x, y) - 0.9 * r),
    "square": lambda x, y, r, _: 0.85 * r - np.maximum(np.abs(x), np.abs(y)),
    "stick": lambda x, y, r, _: np.minimum(1.3 * r - np.abs(x), 0.25 * r - np.abs(y)),
    "star": star, "triangle": triangle, "cross": cross, "cloud": cloud,
}  # fmt: skip


def cover(inside: Array, softness: float) -> Array:
    """1 inside, 0 outside, the edge `softness` pixels wide."""
    covered: Array = np.clip(inside / softness + 0.5, 0, 1).astype(np.float32)
    return covered


def place(picture: Array, covered: Array, scene: Scene, hardness: float, rng: np.random.Generator) -> None:
    """Draw the scene's shapes into `picture` [224, 224, 3]: alike, close together, around the place that is told."""
    radius = rng.uniform(7, 9.5) if scene.size == "small" else rng.uniform(15, 21)
    count = 1 + COUNTS.index(scene.count)
    step = 50 if scene.ground in ("plate", "lamp") else 60  # their corners are dark
    middle = 112 + step * np.array([ACROSS.index(scene.across) - 1, DOWN.index(scene.down) - 1])
    middle = middle + rng.uniform(-15, 15, 2)
    turn, gap = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.4, 1.6) * (0 if count == 1 else count / 2.4 + 0.25)
    softness = rng.choice((1.5, 3, 0.5 * radius)) if scene.shape != "cloud" else 0.8 * radius
    strength = rng.uniform(0.5 - 0.28 * hardness, 0.5) * (-1 if scene.tone == "dark" else 1)
    for i in range(count):
        angle = turn + 2 * np.pi * i / count
        x, y = (middle + gap * np.array([np.cos(angle), np.sin(angle)])).clip(radius + 2, SIDE - radius - 2)
        stamp(picture, covered, (x, y), radius * rng.uniform(0.9, 1.1), scene, float(softness), strength, rng)


def stamp(
    picture: Array, covered: Array, at: tuple[float, float], radius: float, scene: Scene, softness: float,
    strength: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw one shape, on the window around it only."""
    reach = int(1.6 * radius + softness + 2)
    window = tuple(slice(max(int(c) - reach, 0), int(c) + reach) for c in (at[1], at[0]))
    x, y = XS[window] - at[0], YS[window] - at[1]
    tilt = rng.uniform(-0.6, 0.6) if scene.shape == "stick" else rng.uniform(-0.2, 0.2)
    x, y = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    mask = cover(SHAPE[scene.shape](x, y, radius, rng), softness)[..., None]
    covered[window] = np.maximum(covered[window], mask[..., 0])
    if scene.tone in COLOURS:
        paint = np.array(COLOURS[scene.tone], np.float32) * (0.5 + abs(strength))
        picture[window] += mask * 0.75 * (paint - picture[window])
    else:
        picture[window] += mask * strength


def photograph(picture: Array, hardness: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, grain and speckle of a camera, good or bad."""
    noise = rng.standard_normal((SIDE, SIDE, 1), dtype=np.float32)
    grain, speckle = hardness * rng.uniform(0, 0.05), hardness * rng.choice((0, 0.08, 0.16))
    picture = picture * (1 + speckle * noise) + grain * noise[::-1]
    picture = (picture - 0.45) * rng.uniform(0.8, 1.2) + 0.45 + rng.uniform(-0.06, 0.06)
    return np.asarray(picture.clip(0, 1) * 255, dtype=np.uint8)
