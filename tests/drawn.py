"""A small dataset in Zenodo's form that is drawn, not read: bodies, charts, cells; CC0, and anywhere the same.

It stands for the real radiographs of `MINI`, which not every machine has.
"""

import atexit
import csv
import io
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from own_captions import CAPTIONS
from PIL import Image, ImageDraw

from rococap.data.phantom.source import Phantom
from rococap.types import SPLITS

COUNTS = {"train": 44, "valid": 14, "test": 12}
NAMES = {"C1306645": "Plain x-ray", "C0040405": "X-Ray Computed Tomography", "C0041618": "Ultrasonography"}
NAMES |= {"C0018670": "Head", "C0817096": "Chest", "C0027530": "Neck", "C1996865": "Postero-Anterior"}
LICENCES = ["CC BY (a hospital)", "CC BY-NC [Someone et al. (2021)]", ""]


def body(index):
    """A radiology-like image, a third of them of each modality, cut and sized as its source had it."""
    image = Phantom(train=index + 1, valid=1, test=1, seed=11).examples("train")[index].image.open()
    draw = np.random.default_rng((1, index))
    left, top, right, bottom = draw.integers(0, 26, 4)
    image = image.crop((left, top, 224 - right, 224 - bottom))
    return image.resize((int(draw.integers(180, 420)), int(draw.integers(180, 420))), Image.Resampling.BICUBIC)


def chart(index):
    """Bars and curves on white."""
    draw = np.random.default_rng((2, index))
    image = Image.new("RGB", (int(draw.integers(240, 400)), int(draw.integers(200, 320))), "white")
    pen = ImageDraw.Draw(image)
    heights = draw.uniform(0.1, 0.95, 8) * image.height
    for number, height in enumerate(heights):
        x = image.width * number // 8
        colour = tuple(int(part) for part in draw.integers(0, 200, 3))
        pen.rectangle((x + 4, image.height - height, x + image.width // 8 - 4, image.height), fill=colour)
    points = [(image.width * number / 12, y) for number, y in enumerate(draw.uniform(0, image.height, 13))]
    pen.line(points, fill="black", width=3)
    return image


def cells(index):
    """Many bright and dark ellipses on a slope of grey, as under a microscope."""
    draw = np.random.default_rng((3, index))
    width, height = (int(side) for side in draw.integers(200, 400, 2))
    slope = np.linspace(draw.uniform(40, 90), draw.uniform(90, 160), width)[None] + np.zeros((height, 1))
    image = Image.fromarray(slope.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(30):
        x, y, across, down = (*draw.uniform(0, 1, 2) * (width, height), *draw.uniform(5, 30, 2))
        pen.ellipse((x - across, y - down, x + across, y + down), fill=int(draw.integers(10, 220)))
    return image


@cache
def images(split):
    """JPEG files by id."""
    before = sum(COUNTS[other] for other in SPLITS[: SPLITS.index(split)])
    files = {}
    for number in range(before, before + COUNTS[split]):
        kind = (body, body, chart, cells)[number % 4]
        file = io.BytesIO()
        kind(number).save(file, "JPEG", quality=88)
        files[f"{kind.__name__}_{number:04}"] = file.getvalue()
    return files


def captions(split):
    """One of each image, by id."""
    before = sum(COUNTS[other] for other in SPLITS[: SPLITS.index(split)])
    return {name: CAPTIONS[(before + number) % len(CAPTIONS)] for number, name in enumerate(images(split))}


def concepts(split):
    """CUIs by id: what people noted, and what was read out of the caption beside it."""
    known = list(NAMES)
    manual = {name: known[number % 7 : number % 7 + 2] * (number % 5 > 0) for number, name in enumerate(images(split))}
    return manual, {name: [*cuis, "C0449416"] for name, cuis in manual.items()}


def rows(path, header, content):
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *content])


@cache
def zenodo():
    """The folder of it all, for this process; not to be changed."""
    folder = Path(tempfile.mkdtemp(prefix="drawn-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for split in SPLITS:
        with zipfile.ZipFile(folder / f"{split}_images.zip", "w") as archive:
            archive.mkdir(split)
            for name, content in images(split).items():
                archive.writestr(f"{split}/{name}.jpg", content)
        rows(folder / f"{split}_captions.csv", ["ID", "Caption"], captions(split).items())
        for end, found in zip(("_manual", ""), concepts(split), strict=True):
            lines = [(name, ";".join(cuis)) for name, cuis in found.items()]
            rows(folder / f"{split}_concepts{end}.csv", ["ID", "CUIs"], lines)
    rows(folder / "cui_mapping.csv", ["CUI", "Canonical name"], NAMES.items())
    names = [name for split in SPLITS for name in images(split)]
    lines = [(name, "", LICENCES[number % 3], "") for number, name in enumerate(names)]
    rows(folder / "license_information.csv", ["ID", "PMCID", "Attribution", "Link"], lines)
    return folder
