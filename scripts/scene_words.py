"""The facts of a simple scene, and the everyday words that say them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

SHAPES = ("ball", "ring", "square", "triangle", "star", "cross", "stick", "cloud")
GROUNDS = ("wall", "plate", "window", "lamp", "fence", "hills")
COUNTS = ("one", "two", "three")
SIZES = ("small", "big")
TONES = ("bright", "dark", "red", "green", "blue", "yellow")
ACROSS = ("left", "middle", "right")  # as the viewer sees it
DOWN = ("top", "centre", "bottom")

SAID = {"wall": "on a wall", "window": "in a window", "lamp": "under a lamp", "hills": "over the hills"}
SYNONYMS = {
    "one": ("one", "a", "a single"),
    "small": ("small", "little", "tiny"),
    "big": ("big", "large"),
    "bright": ("bright", "light", "pale"),
    "dark": ("dark", "black"),
    "top": ("top", "upper"),
    "bottom": ("bottom", "lower"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is in a picture. An empty scene has a ground and no more: its other facts are ""."""

    ground: str
    count: str = ""
    size: str = ""
    tone: str = ""
    shape: str = ""
    across: str = ""
    down: str = ""


def caption(scene: Scene, rng: np.random.Generator, place_first: bool) -> str:
    """One of many phrasings, each of which states every fact of the scene; `place_first` tells which scene is meant."""

    def say(word: str) -> str:
        return str(rng.choice(SYNONYMS.get(word, (word,))))

    on = SAID.get(scene.ground, f"on a {scene.ground}")
    if not scene.count:
        text = rng.choice((f"there is nothing {on}", f"nothing at all {on}", f"{on} there is nothing"))
    else:
        plural = {"one": "", "two": "s", "three": "s"}[scene.count]
        noun = scene.shape + ("es" if plural and scene.shape.endswith("ss") else plural)
        what = f"{say(scene.count)} {say(scene.size)} {say(scene.tone)} {noun}"
        at = "in" if scene.across == "middle" else "on"
        corner = f"the {say(scene.down)} {scene.across}"
        where = rng.choice((f"at {corner}", f"in {corner}", f"{at} the {scene.across}, at the {scene.down}"))
        there = "there are" if plural else "there is"
        text = f"{where} {there} {what}, {on}"
        if not place_first:
            others = f"{what} {where}, {on}", f"{on}, {what} {where}", f"{there} {what} {where}, {on}"
            text = rng.choice((text, *others))
    return f"{text[0].upper()}{text[1:]}."


def facts_said(text: str) -> dict[str, str]:
    """The facts that a caption states; a fact that it leaves out, or states in two ways, is not there."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    kinds = {"ground": GROUNDS, "count": COUNTS, "size": SIZES, "tone": TONES}
    kinds |= {"shape": SHAPES, "across": ACROSS, "down": DOWN}
    found: dict[str, str] = {}
    for fact, values in kinds.items():
        said = [value for value in values if words & {*SYNONYMS.get(value, ()), value, f"{value}s", f"{value}es"}]
        if fact == "count" and len(said) == 2:
            said.remove("one")  # its "a" is every noun's article
        if len(said) == 1:
            found[fact] = said[0]
    if "nothing" in words:
        return {"ground": found["ground"]} if "ground" in found else {}
    return found
