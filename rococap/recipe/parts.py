"""The parts that a recipe names, built: the captioner as it starts, and at its best; its data."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from rococap.config import build
from rococap.models.accelerate import accelerate
from rococap.models.base import Captioner, captioner_state
from rococap.recipe.captioning import encoding
from rococap.recipe.precision import Precision, device_type
from rococap.runs.folder import RunFolder
from rococap.types import Source

if TYPE_CHECKING:
    from rococap.data.datamodule import CaptionData
    from rococap.data.kept.features import Encoder

log = logging.getLogger(__name__)


def build_captioner(cfg: DictConfig) -> Captioner:
    """The recipe's network, adapted as the recipe says, with the weights it starts from."""
    torch.manual_seed(cfg.seed)  # new modules have the same random values in every process
    captioner: Captioner = build(cfg.model)
    build(cfg.precision).quantise(captioner, device_type(cfg.trainer.accelerator))
    adapt: Callable[[Captioner], None] = build(cfg.lora, _convert_="all")
    adapt(captioner)
    accelerate(captioner.network)
    return captioner


def set_up_training(captioner: Captioner, cfg: DictConfig) -> None:
    """What changes how a step is computed, and neither its result nor the names of weights."""
    if cfg.checkpoint_activations:
        captioner.network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if cfg.compile:
        captioner.compile(dynamic=True)  # the loss; captions, whose length grows, are generated as they were


def build_data(cfg: DictConfig, source: Source, captioner: Captioner) -> CaptionData:
    """The recipe's dataset, as the captioner's processor wants it."""
    from rococap.data.datamodule import CaptionData

    settings = {key: cfg.data[key] for key in cfg.data if key not in {"source", "root"}}
    return CaptionData(source, captioner.processor, seed=cfg.seed, encoder=kept_encoder(captioner, cfg), **settings)


def kept_encoder(captioner: Captioner, cfg: DictConfig) -> Encoder | None:
    """The vision tower, if what it makes of an image is the same in every epoch and may be kept."""
    from rococap.data.kept.features import Encoder

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


def recipe(cfg: DictConfig) -> dict[str, Any]:
    """The resolved config as plain values."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
