"""A run's folder -> captions -> scores. Captions are written first; scores are computed from what was written."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from torch import Tensor

from rococap.config import build
from rococap.data.image import FileImage, UnreadableImage, read
from rococap.metrics.base import Metric
from rococap.metrics.guards import Watch
from rococap.models.base import Captioner
from rococap.module import Scorer, captioner_state
from rococap.precision import Precision, device_type
from rococap.predictions import PredictionWriter, read_predictions
from rococap.records import RunFolder
from rococap.results import FILE, Row, read_results, write_per_sample, write_results
from rococap.scored import score_predictions
from rococap.statistics import keep
from rococap.types import Example, Prediction, Source, Split

if TYPE_CHECKING:
    from rococap.data.datamodule import CaptionData
    from rococap.data.features import Encoder

log = logging.getLogger(__name__)

# Draws the pages of a split that was captioned, by the captioner given, and gives the files by name.
Report = Callable[[RunFolder, Split, Sequence[Example], Captioner], Mapping[str, Path]]


def evaluate(run: Path, split: Split, report: Report | None = None) -> list[Row]:
    """Caption a split anew with a run's best checkpoint, by the run's own recipe, and score it.

    Args:
        report: draws its pages; handed in, since pages stand above this.

    Raises:
        UserError: the folder is no run's, or has no checkpoint yet.
    """
    folder = RunFolder(run)
    cfg = folder.config
    captioner = best_captioner(folder)
    data = build_data(cfg, build(cfg.data.source), captioner)
    caption_split(captioner, data, split, folder, cfg)
    rows = score_split(folder, split, build(cfg.metrics), watch(captioner, folder))
    if report is not None:
        report(folder, split, data.examples(split), captioner)
    return rows


def caption_images(run: Path, images: Sequence[Path]) -> Iterator[tuple[Path, str | UnreadableImage]]:
    """Each image file with its caption by the run's best checkpoint, or with what is wrong with it.

    Raises:
        UserError: the folder is no run's, or has no checkpoint yet.
    """
    folder = RunFolder(run)
    cfg = folder.config
    captioner = best_captioner(folder)
    encode, caption = encoding(captioner, cfg), captioning(captioner, cfg)
    for image in images:
        try:
            pixels = torch.from_numpy(captioner.processor.pixels(read(FileImage(image))))
        except UnreadableImage as error:
            yield image, error
        else:
            yield image, caption(encode(pixels[None]))[0]


def build_captioner(cfg: DictConfig) -> Captioner:
    """The recipe's network, adapted as the recipe says, with the weights it starts from."""
    torch.manual_seed(cfg.seed)  # new modules have the same random values in every process
    captioner: Captioner = build(cfg.model)
    build(cfg.precision).quantise(captioner, device_type(cfg.trainer.accelerator))
    adapt: Callable[[Captioner], None] = build(cfg.lora, _convert_="all")
    adapt(captioner)
    return captioner


def build_data(cfg: DictConfig, source: Source, captioner: Captioner) -> CaptionData:
    """The recipe's dataset, as the captioner's processor wants it."""
    from rococap.data.datamodule import CaptionData

    settings = {key: cfg.data[key] for key in cfg.data if key not in {"source", "root"}}
    return CaptionData(source, captioner.processor, seed=cfg.seed, encoder=kept_encoder(captioner, cfg), **settings)


def kept_encoder(captioner: Captioner, cfg: DictConfig) -> Encoder | None:
    """The vision tower, if what it makes of an image is the same in every epoch and may be kept."""
    from rococap.data.features import Encoder

    changing = {
        "features=off": cfg.features == "off",
        "the vision tower trains": captioner.tower_trains,
        "images are augmented": build(cfg.augment) is not None,
    }
    if why := next((reason for reason, holds in changing.items() if holds), None):
        log.info("features are computed anew in each epoch: %s", why)
        return None
    precision: Precision = build(cfg.precision)
    arithmetic = precision.on(device_type(cfg.trainer.accelerator))
    return Encoder(
        key=hashlib.sha256(f"{captioner.tower_digest()} {arithmetic}".encode()).hexdigest(),
        shape=captioner.features_shape,
        dtype=np.float32 if cfg.features == "fp32" else np.float16,
        encode=encoding(captioner, cfg),
    )


def best_captioner(folder: RunFolder) -> Captioner:
    """A run's captioner with its best weights, in eval mode on the CPU."""
    captioner = build_captioner(folder.config)
    load_best(captioner, folder)
    return captioner


def load_best(captioner: Captioner, folder: RunFolder) -> None:
    """Put the best checkpoint's weights into a captioner of the same recipe."""
    checkpoint: dict[str, Any] = torch.load(folder.best_checkpoint(), map_location="cpu", weights_only=True)
    captioner.load_trainable_state(captioner_state(checkpoint))
    captioner.eval()


def encoding(captioner: Captioner, cfg: DictConfig) -> Callable[[Tensor], Tensor]:
    """From `uint8 [batch, 3, height, width]` to features, on the recipe's device and in its precision."""
    device = device_type(cfg.trainer.accelerator)
    precision: Precision = build(cfg.precision)

    def encode(pixel_values: Tensor) -> Tensor:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.encode(pixel_values.to(device))

    return encode


def captioning(captioner: Captioner, cfg: DictConfig) -> Callable[[Tensor], list[str]]:
    """From features to captions, on the recipe's device, in its precision and by its decoding."""
    device = device_type(cfg.trainer.accelerator)
    precision: Precision = build(cfg.precision)

    def caption(features: Tensor) -> list[str]:
        captioner.to(device).eval()
        with torch.inference_mode(), precision.autocast(device):
            return captioner.generate(features.to(device).float(), **decoding(cfg))

    return caption


def decoding(cfg: DictConfig) -> dict[str, int]:
    """The recipe's arguments of `Captioner.generate`."""
    return {"max_new_tokens": cfg.decoding.max_new_tokens, "num_beams": cfg.decoding.num_beams}


def caption_split(captioner: Captioner, data: CaptionData, split: Split, folder: RunFolder, cfg: DictConfig) -> None:
    """Write `predictions/<split>.jsonl`, batch by batch."""
    encode, caption = encoding(captioner, cfg), captioning(captioner, cfg)
    examples = {example.id: example for example in data.examples(split)}
    loader = data.loader(split, cfg.decoding.batch_size)
    with PredictionWriter(folder.path / "predictions" / f"{split}.jsonl") as file:
        for batch in track(loader, description=f"Captioning {split} ({len(examples):,} images)", total=len(loader)):
            features = encode(batch.pixel_values) if batch.features is None else batch.features
            for identity, text in zip(batch.ids, caption(features), strict=True):
                e = examples[identity]
                file.write(Prediction(e.id, text, e.captions, e.concepts, e.attribution))


def score_split(folder: RunFolder, split: Split, metrics: Mapping[str, Metric], watch: Watch) -> list[Row]:
    """Score what `caption_split` wrote, into evaluation_results.csv and scores/; gives no row without references."""
    predictions = read_predictions(folder.path / "predictions" / f"{split}.jsonl")
    guards = watch([p.prediction for p in predictions], [p.references for p in predictions])
    folder.note(guards={**folder.state.get("guards", {}), split: [asdict(guard) for guard in guards]})
    if not metrics or not any(p.references for p in predictions):
        why = "the split has no captions" if metrics else "metrics=[]"
        log.info("%s: %d captions written, not scored (%s)", split, len(predictions), why)
        return []
    scored = score_predictions(metrics, predictions, split)
    rows = scored.rows() + scored.slice_rows()
    write_per_sample(folder.path, split, [p.id for p in predictions], scored.per_sample())
    keep(folder.path, split, {key: statistics[0] for key, statistics in scored.statistics.items()})
    file = folder.path / FILE
    others = [row for row in (read_results(file) if file.is_file() else []) if row.split != split]
    write_results(file, others + rows)
    return rows


def watch(captioner: Captioner, folder: RunFolder) -> Watch:
    """The guards of a run's captions."""
    limit = folder.config.decoding.max_new_tokens
    return Watch(
        length=lambda text: len(captioner.processor.tokens(text, limit)[0]),
        limit=limit,
        common=folder.state.get("common_caption", ""),
    )


def watched(scorer: Scorer | None, watch: Watch) -> Scorer | None:
    """A scorer that gives the guards' values too, and says what a guard means that is out of bounds."""
    if scorer is None:
        return None

    def score(captions: Sequence[str], examples: Sequence[Example]) -> dict[str, float]:
        guards = watch(captions, [example.captions for example in examples])
        for guard in guards:
            if guard.warning:
                log.warning("%s", guard.warning)
        return {**scorer(captions, examples), **{guard.name: guard.value for guard in guards}}

    return score


def scorer(cfg: DictConfig) -> Scorer | None:
    """The recipe's metrics as one function of captions and their examples; None without metrics."""
    if not cfg.metrics:
        return None
    from rococap.metrics.scoring import ready, score

    metrics: dict[str, Metric] = build(cfg.metrics)
    ready(metrics)
    return lambda captions, examples: (
        score(metrics, captions, [e.captions for e in examples], [e.concepts for e in examples]).corpus
    )


def recipe(cfg: DictConfig) -> dict[str, Any]:
    """The resolved config as plain values."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
