"""What a vision tower gives is kept, whole and only where it is the same in each epoch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from standin import Words

from rococap.data.image import FileImage
from rococap.data.kept import features, keys
from rococap.data.kept import images as store
from rococap.data.kept.features import Encoder
from rococap.types import Example, UserError

PROCESSOR = Words()


def colours(pixels: torch.Tensor) -> torch.Tensor:
    """[batch, 2, 3]: mean and greatest value of each channel."""
    flat = pixels.float().flatten(2)
    return torch.stack([flat.mean(2), flat.amax(2)], dim=1)


class Tower:
    """Counts the images that it encodes."""

    def __init__(
        self, weights: str = "tower", dtype: type = np.float16, encode=colours, encoding=None, arithmetic: str = "fp32"
    ) -> None:
        self.seen = 0
        self.work = encode
        self.encoder = Encoder(weights, encoding or {}, arithmetic, (2, 3), dtype, self.encode)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels)
        return self.work(pixels)


def pictures(folder: Path, count: int) -> list[Example]:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.new("L", (9, 9), number % 256).save(folder / f"{number}.png")
    return [Example(str(number), FileImage(folder / f"{number}.png"), ("text",)) for number in range(count)]


def prepare(
    examples: list[Example], tower: Tower, dataset: str = "data", processor: Words = PROCESSOR
) -> features.Features:
    pixels = partial(store.open_images, processor=processor, dataset=dataset, split="train")
    images = keys.Images.of(dataset, processor)
    return features.open_features(examples, pixels, tower.encoder, images, "train")


def assert_right(kept: features.Features, examples: list[Example]) -> None:
    assert [example.id for example in kept.examples] == [example.id for example in examples]
    for example in examples:
        assert np.array_equal(kept[example.id], np.full((2, 3), int(example.id) % 256))


def test_each_image_is_encoded_once_however_many_runs_ask(tmp_path):
    examples, tower = pictures(tmp_path / "x", 300), Tower()
    assert_right(prepare(examples[:280], tower), examples[:280])
    assert_right(prepare(examples[270:], tower), examples[270:])
    assert_right(prepare(examples[::-1], tower), examples[::-1])
    assert tower.seen == 300


def test_another_tower_arithmetic_dtype_or_dataset_is_encoded_anew(tmp_path):
    examples = pictures(tmp_path / "x", 2)
    prepare(examples, Tower())
    prepare(examples, Tower(), "other data")
    others = [{"weights": "other"}, {"encoding": {"mean": 0.4}}, {"arithmetic": "bf16"}, {"dtype": np.float32}]
    for tower in (Tower(**other) for other in others):
        kept = prepare(examples, tower)
        assert tower.seen == 2 and kept["0"].dtype == tower.encoder.dtype
    prepare(examples, first := Tower())
    assert first.seen == 0  # beside the others, what was kept first is there still


def test_features_of_other_pixels_are_encoded_anew(tmp_path, monkeypatch):
    """The same tower and dataset, and images that are resized in another way, or kept by another version."""
    examples = pictures(tmp_path / "x", 2)
    prepare(examples, Tower())
    nearest = Words(resample=Image.Resampling.NEAREST)
    prepare(examples, tower := Tower(), processor=nearest)
    assert tower.seen == 2
    prepare(examples, tower := Tower(), processor=nearest)
    assert tower.seen == 0
    monkeypatch.setitem(keys.FORMATS, "Images", keys.FORMATS["Images"] + 1)
    prepare(examples, tower := Tower(), processor=nearest)
    assert tower.seen == 2


def test_an_unreadable_image_is_left_out_and_named(tmp_path):
    examples = pictures(tmp_path / "x", 3)
    examples[1].image.path.write_bytes(b"")
    for _ in range(2):
        kept = prepare(examples, Tower())
        assert_right(kept, [examples[0], examples[2]])
        assert list(kept.unreadable) == ["1"]


def test_changed_bytes_are_noticed_and_encoded_anew(cache, tmp_path, caplog):
    examples, tower = pictures(tmp_path / "x", 5), Tower()
    prepare(examples, tower)
    [chunk] = cache.glob("features/*/train/*.npy")
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    features.read_rows.__globals__["_opened"].cache_clear()
    assert_right(prepare(examples, tower), examples)
    assert tower.seen == 10 and "was changed on disk" in caplog.text


def test_half_precision_that_does_not_hold_a_feature_is_said(tmp_path):
    with pytest.raises(UserError, match="features=fp32"):
        prepare(pictures(tmp_path / "x", 1), Tower(encode=lambda pixels: colours(pixels) + 1e5))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_build_goes_on(cache, tmp_path, stop):
    examples = pictures(tmp_path / "x", 700)
    code = f"""
        import sys, time
        sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
        from pathlib import Path
        from test_features import Tower, colours, pictures, prepare
        seen = 0
        def encode(pixels):
            global seen
            seen += len(pixels)
            if seen > 400:
                print(seen, flush=True)
                time.sleep(60)
            return colours(pixels)
        prepare(pictures(Path({str(tmp_path / "x")!r}), 700), Tower(encode=encode))
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ROCOCAP_CACHE": str(cache)},
    ) as process:
        process.stdout.readline()
        process.send_signal(stop)
    tower = Tower()
    assert_right(prepare(examples, tower), examples)
    assert tower.seen == 700 - features.CHUNK  # the first file was whole
    assert len(list(cache.glob("features/*/train/*.npy"))) == len(list(cache.glob("features/*/train/*.json"))) == 3
    assert sum(len(json.loads(p.read_bytes())["ids"]) for p in cache.glob("features/*/train/*.json")) == 700
