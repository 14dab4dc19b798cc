"""A run's folder -> captions -> scores. Captions are written first; scores are computed from what was written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track

from rococap.config import build
from rococap.data.image import FileImage, UnreadableImage, read
from rococap.metrics.base import Metric
from rococap.models.base import Captioner
from rococap.module import captioner_state
from rococap.precision import Precision, device_type
from rococap.predictions import PredictionWriter, read_predictions
from rococap.records import RunFolder
from rococap.results import FILE, Row, read_results, score_predictions, write_results
from rococap.types import Prediction, Source, Split

if TYPE_CHECKING:
    from rococap.data.datamodule import CaptionData

log = logging.getLogger(__name__)


def evaluate(run: Path, split: Split) -> list[Row]:
    """Caption a split anew with a run's best checkpoint, by the run's own recipe, and score it.

    Raises:
        UserError: the folder is no run's, or has no checkpoint yet.
    """
    folder = RunFolder(run)
    cfg = folder.config
    data = build_data(cfg, build(cfg.data.source), captioner := best_captioner(folder))
    device = device_type(cfg.trainer.accelerator)
    captioner.to(device)
    precision: Precision = build(cfg.precision)
    caption_split(captioner, data, split, folder, cfg.decoding, precision, device)
    return score_split(folder, split, build(cfg.metrics))


def caption_images(run: Path, images: Sequence[Path]) -> Iterator[tuple[Path, str | UnreadableImage]]:
    """Each image file with its caption by the run's best checkpoint, or with what is wrong with it.

    Raises:
        UserError: the folder is no run's, or has no checkpoint yet.
    """
    folder = RunFolder(run)
    cfg = folder.config
    captioner = best_captioner(folder)
    device = device_type(cfg.trainer.accelerator)
    captioner.to(device)
    precision: Precision = build(cfg.precision)
    options = {"max_new_tokens": cfg.decoding.max_new_tokens, "num_beams": cfg.decoding.num_beams}
    for image in images:
        try:
            pixels = torch.from_numpy(captioner.processor.pixels(read(FileImage(image))))[None].to(device)
        except UnreadableImage as error:
            yield image, error
            continue
        with torch.inference_mode(), precision.autocast(device):
            yield image, captioner.generate(captioner.encode(pixels), **options)[0]


def build_captioner(cfg: DictConfig) -> Captioner:
    """The recipe's network, adapted as the recipe says, with the weights it starts from."""
    torch.manual_seed(cfg.seed)  # new modules have the same random values in every process
    captioner: Captioner = build(cfg.model)
    adapt: Callable[[Captioner], None] = build(cfg.lora, _convert_="all")
    adapt(captioner)
    return captioner


def build_data(cfg: DictConfig, source: Source, captioner: Captioner) -> CaptionData:
    """The recipe's dataset, as the captioner's processor wants it."""
    from rococap.data.datamodule import CaptionData

    settings = {key: cfg.data[key] for key in cfg.data if key not in {"source", "root"}}
    return CaptionData(source, captioner.processor, seed=cfg.seed, **settings)


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


def caption_split(
    captioner: Captioner,
    data: CaptionData,
    split: Split,
    folder: RunFolder,
    decoding: DictConfig,
    precision: Precision,
    device: str,
) -> None:
    """Write `predictions/<split>.jsonl`, batch by batch."""
    examples = {example.id: example for example in data.examples(split)}
    loader = data.loader(split, decoding.batch_size)
    options = {"max_new_tokens": decoding.max_new_tokens, "num_beams": decoding.num_beams}
    with (
        PredictionWriter(folder.path / "predictions" / f"{split}.jsonl") as file,
        torch.inference_mode(),
        precision.autocast(device),
    ):
        for batch in track(loader, description=f"Captioning {split} ({len(examples):,} images)", total=len(loader)):
            captions = captioner.generate(captioner.encode(batch.pixel_values.to(device)), **options)
            for identity, caption in zip(batch.ids, captions, strict=True):
                e = examples[identity]
                file.write(Prediction(e.id, caption, e.captions, e.concepts, e.attribution))


def score_split(folder: RunFolder, split: Split, metrics: Mapping[str, Metric]) -> list[Row]:
    """Score what `caption_split` wrote, and put the rows into evaluation_results.csv; none without captions."""
    predictions = read_predictions(folder.path / "predictions" / f"{split}.jsonl")
    if not metrics or not any(p.references for p in predictions):
        why = "the split has no captions" if metrics else "metrics=[]"
        log.info("%s: %d captions written, not scored (%s)", split, len(predictions), why)
        return []
    rows = score_predictions(metrics, predictions, split)
    file = folder.path / FILE
    others = [row for row in (read_results(file) if file.is_file() else []) if row.split != split]
    write_results(file, others + rows)
    return rows


def scorer(cfg: DictConfig) -> Callable[[Any, Any], dict[str, float]] | None:
    """The recipe's metrics as one function of captions and references; None without metrics."""
    if not cfg.metrics:
        return None
    from rococap.metrics.scoring import ready, score

    metrics: dict[str, Metric] = build(cfg.metrics)
    ready(metrics)
    return lambda predictions, references: score(metrics, predictions, references).corpus


def recipe(cfg: DictConfig) -> dict[str, Any]:
    """The resolved config as plain values."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
