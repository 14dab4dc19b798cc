"""What a score is held against: captions by systems that did not learn, or did not look.

base      the captioner before adaptation; none where its cross-attention is new, since then it knows nothing yet
common    the most frequent training caption, for every image
nearest   the caption of the training image whose features, averaged over positions, have the greatest cosine
prior     what the trained captioner says of the mean of all training features, for every image

All but the last are the same for every run of a sweep with the same data and base: they are computed once, and kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mode

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from rococap.config import build
from rococap.data.datamodule import CaptionData
from rococap.data.kept.folders import cache_folder, write_whole, writing
from rococap.evaluation.split_scores import score_predictions
from rococap.metrics.base import Metric
from rococap.models.base import Captioner
from rococap.recipe.captioning import captioning, encoding
from rococap.recipe.parts import build_captioner
from rococap.runs.predictions import PredictionWriter, read_predictions
from rococap.runs.results import Row, read_results, write_results
from rococap.types import Example, Prediction, Split

log = logging.getLogger(__name__)

FORMAT = "2"  # of what is kept; another number leaves older ones aside
MEAN = "mean_feature.npy"
_BATCH = 64


def baseline_rows(captioner: Captioner, data: CaptionData, split: Split, cfg: DictConfig) -> list[Row]:
    """Scores of all other systems on a split, without blind scores; none where it has no captions.

    Args:
        captioner: the trained one, for the prior.
    """
    metrics: dict[str, Metric] = build(cfg.metrics)
    examples = data.examples(split)
    if not metrics or not any(example.captions for example in examples):
        return []
    digest = hashlib.sha256(_key(captioner, data, cfg).encode()).hexdigest()
    folder = cache_folder("baselines", digest[:16], split)
    scorers = hashlib.sha256(OmegaConf.to_yaml(cfg.metrics, resolve=True).encode()).hexdigest()[:8]
    kept = folder / f"scores-{scorers}.csv"
    with writing(folder):  # a second run that needs the same waits for it here
        systems = _systems(captioner, data, split, folder, cfg)
        if not kept.is_file():
            write_results(
                kept, [row for name, captions in systems.items() for row in _score(metrics, captions, split, name)]
            )
        rows = read_results(kept)
    if captioner.tower_trains:
        log.info("no prior: the vision tower trains, and each run would have to encode all images again")
        return rows
    mean = torch.from_numpy(np.load(folder / MEAN))
    said = captioning(captioner, cfg)(mean[None])[0]
    return rows + _score(metrics, _constant(examples, said), split, "prior")


def _key(captioner: Captioner, data: CaptionData, cfg: DictConfig) -> str:
    chosen = {name: cfg.data[name] for name in ("fraction", "subset_seed", "drop_leaks", "val_images", "max_tokens")}
    parts = OmegaConf.to_container(OmegaConf.masked_copy(cfg, ["model", "precision", "decoding"]), resolve=True)
    base = build_captioner(cfg) if captioner.tower_trains else captioner  # a tower that has trained is this run's alone
    return json.dumps([FORMAT, data.fingerprint, base.tower_digest(), chosen, parts, cfg.trainer.accelerator])


def _systems(
    captioner: Captioner, data: CaptionData, split: Split, folder: Path, cfg: DictConfig
) -> dict[str, list[Prediction]]:
    """Captions of base, common and nearest, and beside them the mean feature; what is kept is read."""
    makers = {"base": _base, "common": _common, "nearest": _nearest}
    if captioner.new:
        del makers["base"]
    for name, make in makers.items():
        if not (folder / f"{name}.jsonl").is_file():
            with PredictionWriter(unfinished := folder / f"{name}.tmp") as file:
                for prediction in make(captioner, data, split, folder, cfg):
                    file.write(prediction)
            unfinished.replace(folder / f"{name}.jsonl")
    return {name: read_predictions(folder / f"{name}.jsonl") for name in makers}


def _base(captioner: Captioner, data: CaptionData, split: Split, folder: Path, cfg: DictConfig) -> Iterator[Prediction]:
    base = build_captioner(cfg)
    encode, caption = encoding(base, cfg), captioning(base, cfg)
    loader = data.loader(split, cfg.decoding.batch_size)
    captions: list[str] = []
    for batch in track(loader, description=f"Captioning {split} before adaptation", total=len(loader)):
        # Kept features are of a tower that does not train; pixels may belong to one that did.
        captions += caption(encode(batch.pixel_values) if batch.features is None else batch.features)
    yield from _said(data.examples(split), captions)


def _common(
    captioner: Captioner, data: CaptionData, split: Split, folder: Path, cfg: DictConfig
) -> Iterator[Prediction]:
    yield from _constant(data.examples(split), mode(example.captions[0] for example in data.examples("train")))


def _nearest(
    captioner: Captioner, data: CaptionData, split: Split, folder: Path, cfg: DictConfig
) -> Iterator[Prediction]:
    base = build_captioner(cfg) if captioner.tower_trains else captioner
    train, mean = _features(base, data, "train", cfg)
    asked, _ = _features(base, data, split, cfg)
    write_whole(folder / MEAN, lambda stream: np.save(stream, mean.numpy()))  # the training images are read once
    captions = [example.captions[0] for example in data.examples("train")]
    nearest = torch.cat([(rows @ train.T).argmax(dim=1) for rows in torch.split(asked, 1024)])  # [images]
    yield from _said(data.examples(split), [captions[index] for index in nearest.tolist()])


def _features(captioner: Captioner, data: CaptionData, split: Split, cfg: DictConfig) -> tuple[Tensor, Tensor]:
    """Directions of a split's features, each averaged over positions, [images, width]; and their mean.

    On the CPU, in the order of the examples; the mean is [positions, width].
    """
    encode, loader = encoding(captioner, cfg), data.loader(split, _BATCH)
    directions, sums = [], []
    for batch in track(loader, description=f"Reading the features of {split}", total=len(loader)):
        features = (encode(batch.pixel_values) if batch.features is None else batch.features).float()
        directions.append(functional.normalize(features.mean(dim=1), dim=-1).cpu())
        sums.append(features.double().sum(dim=0).cpu())
    found = torch.cat(directions)
    return found, (torch.stack(sums).sum(dim=0) / len(found)).float()


def _constant(examples: Sequence[Example], caption: str) -> list[Prediction]:
    return list(_said(examples, [caption] * len(examples)))


def _said(examples: Sequence[Example], captions: Sequence[str]) -> Iterator[Prediction]:
    for e, caption in zip(examples, captions, strict=True):
        yield Prediction(e.id, caption, e.captions, e.concepts, e.attribution)


def _score(metrics: Mapping[str, Metric], captions: Sequence[Prediction], split: Split, system: str) -> list[Row]:
    return score_predictions(metrics, captions, split, system, with_blind=False).rows()
