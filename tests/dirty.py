"""A copy of drawn images with everything wrong that a copy can have, and where each wrong thing was put."""

import csv
import io
import zipfile

import numpy as np
from drawn import captions, images
from PIL import Image, ImageEnhance

from rococap.types import SPLITS


def reencoded(content, quality=60, size=1.0, brightness=1.0, fmt="JPEG"):
    """An image file's bytes, as someone else might have stored the same image."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    image = image.resize((round(image.width * size), round(image.height * size)))
    return packed(ImageEnhance.Brightness(image).enhance(brightness), fmt, quality=quality)


def packed(image, fmt="PNG", **options):
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


class Copy:
    """Images and captions by split and id, as files; change them, then `write`."""

    def __init__(self, count=40):
        """The first `count` images of each split, or all where there are fewer."""
        self.captions = {split: list(map(list, captions(split).items()))[:count] for split in SPLITS}
        self.images = {split: dict(list(images(split).items())[:count]) for split in SPLITS}

    def ids(self, split):
        return list(self.images[split])

    def add(self, split, name, content):
        self.images[split][name] = content
        self.captions[split].append([name, f"The caption of {name}."])

    def write(self, folder, members=()):
        """As Zenodo packs it; `members` are further (name, content) of train's zip."""
        folder.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            with (folder / f"{split}_captions.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([["ID", "Caption"], *self.captions[split]])
            with zipfile.ZipFile(folder / f"{split}_images.zip", "w") as archive:
                for name, content in self.images[split].items():
                    archive.writestr(f"{split}/{name}.jpg", content)
                for name, content in members if split == "train" else ():
                    archive.writestr(name, content)
        return folder


def dirty(folder):
    """Write such a copy; what is wrong with it is told by the names of the images."""
    copy = Copy()
    test, valid, train = (list(copy.images[split].values()) for split in ("test", "valid", "train"))
    copy.add("train", "leak_same", test[0])
    copy.add("train", "leak_jpeg", reencoded(test[1], quality=40))
    copy.add("train", "leak_half", reencoded(test[2], size=0.5))
    copy.add("train", "leak_bright", reencoded(test[3], brightness=1.08))
    copy.add("train", "leak_of_valid", reencoded(valid[0], size=1.5))
    copy.add("valid", "leak_of_test", reencoded(test[4], fmt="PNG"))
    copy.add("train", "twin", reencoded(train[0], quality=50))
    copy.add("train", "truncated", train[1][:3000])
    copy.add("train", "empty", b"")
    copy.add("valid", "web_page", b"<html>404 not found</html>")
    copy.add("test", "blank", packed(Image.new("L", (200, 200), 7)))
    noise = np.random.default_rng(0).integers(0, 255, (30, 40), dtype=np.uint8)
    copy.add("test", "tiny", packed(Image.fromarray(noise)))
    copy.images["train"]["no_caption"] = train[2]
    copy.captions["train"] += [["no_image", "text"], copy.captions["train"][3], ["too", "many", "fields"]]
    copy.captions["train"] += [["broken"]] * 10_000
    return copy.write(folder, members=[("../../outside.jpg", train[5])])
