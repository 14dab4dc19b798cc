"""Preparing images against decoding and resizing them alone, and the rate at which prepared ones are read."""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from rococap.benchmark.work import TOKENIZER, FirstImages, draw
from rococap.data.image import read
from rococap.data.kept.images import open_images
from rococap.data.kept.rows import cores
from rococap.models.hub import load_image_settings, load_tokenizer
from rococap.models.processor import causal_processor
from rococap.types import Example, Processor

READS = 20_000  # of prepared images, in random order


def measure(data: Path | None, images: int, rounds: int) -> dict[str, Any]:
    """All images decoded and resized by all cores, kept and not kept, in turns.

    Returns:
        ratio: rate with keeping over rate without; images_per_second: of preparing; reads_per_second: of one core.
    """
    processor = causal_processor(load_image_settings(str(TOKENIZER)), load_tokenizer(str(TOKENIZER)), 1024)
    alone = kept = 0.0
    with tempfile.TemporaryDirectory() as folder:
        examples = FirstImages(data or draw(Path(folder) / "data", images), images).examples("train")
        for number in range(rounds):
            os.environ["ROCOCAP_CACHE"] = str(Path(folder) / f"cache{number}")
            alone += _timed(partial(_decode, examples, processor))
            kept += _timed(partial(open_images, examples, processor, "benchmark", "train"))
        store = open_images(examples, processor, "benchmark", "train")
        for example in examples:
            _ = store[example.id]  # the first read of each compares its checksum
        order = torch.randint(len(examples), (READS,)).tolist()
        begun = time.perf_counter()
        for index in order:
            store[examples[index].id].copy()
        reading = time.perf_counter() - begun
    return {
        "ratio": alone / kept,
        "images_per_second": rounds * images / kept,
        "reads_per_second": READS / reading,
        "sides": {"decoding and resizing alone": alone, "prepared and kept": kept},
    }


def _timed(work: partial[Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _decode(examples: list[Example], processor: Processor) -> None:
    loader: DataLoader[int] = DataLoader(
        examples,  # type: ignore[arg-type]  # a list is a dataset
        batch_size=64,
        num_workers=cores(),
        collate_fn=partial(_forget, processor),
    )
    assert sum(loader) == len(examples)


def _forget(processor: Processor, examples: list[Example]) -> int:
    return len([processor.pixels(read(example.image)) for example in examples])
