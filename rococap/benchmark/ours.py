"""rococap's side of the training benchmark, in a process of its own: prints a line of JSON."""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from rococap.benchmark.limit import Products, seconds, synchronize
from rococap.benchmark.work import SIZES, FirstImages, network
from rococap.data.datamodule import CaptionData
from rococap.data.kept.features import Encoder
from rococap.models.base import Captioner
from rococap.recipe.precision import Precision, device_type
from rococap.training.module import CaptionModule
from rococap.training.optim import linear
from rococap.types import Batch


class Seen(pl.Callback):
    """Counts how often each example was trained on."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.times.update(batch.ids)


def main() -> None:
    """Train, and then do its matrix products alone."""
    a = parse_arguments()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    device = device_type("auto")
    precision = Precision(a.precision, "fp32")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ROCOCAP_CACHE"] = cache  # nothing is there before the clock starts
        captioner = network(a.size, a.tokenizer).to(device)
        data = CaptionData(
            FirstImages(a.data, a.images), captioner.processor, fraction=1.0, subset_seed=0, batch_size=a.batch_size,
            length_pool=32, workers=None, val_images=None, max_tokens=a.max_length, seed=0,
            encoder=encoder(captioner, precision, device) if a.features == "auto" else None,
        )  # fmt: skip
        seen = Seen()
        begun = time.perf_counter()
        data.dataset("train")
        prepared = time.perf_counter()
        fit(captioner, data, precision.lightning(device), a.epochs, seen)
        synchronize(device)
        ended = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        steps = products(captioner, data, precision, device)
    if set(seen.times.values()) != {a.epochs} or len(seen.times) != a.images:
        sys.exit("not every image was trained on once an epoch")
    result = {
        "images": a.images, "epochs": a.epochs, "batch_size": a.batch_size, "device": device,
        "precision": precision.on(device), "seconds": ended - begun, "prepare_seconds": prepared - begun,
        "peak_rss_mib": peak // (1024 if sys.platform == "linux" else 1024**2),
        "peak_gpu_mib": torch.cuda.max_memory_allocated() // 2**20 if device == "cuda" else None,
        **limit(steps, a.epochs, a.features == "auto", precision.on(device), device),
    }  # fmt: skip
    print(json.dumps(result))


def fit(captioner: Captioner, data: CaptionData, arithmetic: Any, epochs: int, *callbacks: pl.Callback) -> None:
    """What `train.py` does between the first and the last step."""
    module = CaptionModule(
        captioner,
        lambda groups: torch.optim.AdamW(groups, lr=5e-5),
        lambda optimizer, steps: linear(optimizer, steps, warmup=0.0),
        None, {}, seed=0,
    )  # fmt: skip
    trainer = pl.Trainer(
        max_epochs=epochs, precision=arithmetic, accelerator="auto", devices=1, gradient_clip_val=1.0,
        callbacks=list(callbacks), logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, num_sanity_val_steps=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)


def encoder(captioner: Captioner, precision: Precision, device: str) -> Encoder:
    """The tower, for features that are kept in half precision."""

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        captioner.eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.encode(pixels.to(device))

    positions, width = encode(torch.zeros(1, 3, *captioner.processor.image_size, dtype=torch.uint8)).shape[1:]
    digest, arithmetic = captioner.tower_digest(), precision.on(device)
    return Encoder(digest, captioner.encoding, arithmetic, (positions, width), np.float16, encode)


def products(captioner: Captioner, data: CaptionData, precision: Precision, device: str) -> tuple[Products, Products]:
    """The matrix products of the tower over all images once, and of the decoder over one epoch, both ways."""
    tower, decoder = Products(), Products()
    captioner.to(device).train()
    pixels = torch.zeros(data.images_a_batch, 3, *data.processor.image_size, dtype=torch.uint8, device=device)
    for batch in data.train_dataloader():
        ids, mask = batch.input_ids.to(device), batch.attention_mask.to(device)
        with precision.autocast(device):
            with tower:
                features = captioner.encode(pixels[: len(batch.ids)])
            with decoder:
                captioner(features, ids, mask)[0].backward()
    captioner.zero_grad()
    return tower, decoder


def limit(
    recorded: tuple[Products, Products], epochs: int, tower_once: bool, compute: str, device: str
) -> dict[str, float]:
    """Seconds of these products alone for the whole run; the decoder's are done for one epoch and multiplied."""
    tower, decoder = recorded
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[compute]
    times = 1 if tower_once else epochs
    return {
        "limit_seconds": times * seconds(tower.shapes, dtype, device) + epochs * seconds(decoder.shapes, dtype, device),
        "gflop": (times * tower.flop + epochs * decoder.flop) / 1e9,
    }


def parse_arguments() -> argparse.Namespace:
    """As `benchmark.py train` gives them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, required=True)
    for name in ("--images", "--epochs", "--batch-size", "--max-length"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--features", choices=["auto", "off"], default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
