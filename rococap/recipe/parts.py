"""The large parts that a recipe names, built: the captioner as it starts, and at its best; its data."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace

import numpy as np
import torch

from rococap.data.datamodule import CaptionData
from rococap.data.kept.features import Encoder
from rococap.models.accelerate import accelerate
from rococap.models.base import Model
from rococap.models.checkpoint import load_checkpoint
from rococap.recipe.captioning import encoding
from rococap.recipe.recipe import Recipe
from rococap.runs.checkpoints import load
from rococap.runs.folder import RunFolder
from rococap.types import Answer, Processor, UserError, caption_of

log = logging.getLogger(__name__)


def build_captioner(recipe: Recipe) -> Model:
    """The recipe's network, adapted as the recipe says, with the weights it starts from."""
    torch.manual_seed(recipe.seed)  # new modules have the same random values in every process
    captioner = recipe.network(replace(recipe.precision.loading(recipe.device), adapts=recipe.adapts))
    recipe.adapt(captioner)
    accelerate(captioner.network)
    return captioner


def untrained_captioner(recipe: Recipe) -> Model:
    """The recipe's network as it was published; raises UserError where a part of it is new, and so knows nothing."""
    captioner = recipe.network(recipe.precision.loading(recipe.device))
    if captioner.new:
        raise UserError(
            f"{len(captioner.new)} parameters of this model have random values, such as {min(captioner.new)}: it "
            "captions once it was trained.\nTrain it (python train.py ...), or take a checkpoint that has them."
        )
    accelerate(captioner.network)
    return captioner.eval()


def build_data(recipe: Recipe, captioner: Model) -> CaptionData:
    """The recipe's dataset, as the captioner's processor wants it."""
    encoder = kept_encoder(captioner, recipe)
    return data_for(recipe, captioner.processor, encoder, captioner.answer)


def data_for(
    recipe: Recipe, processor: Processor, encoder: Encoder | None = None, answer: Answer = caption_of
) -> CaptionData:
    """The recipe's dataset, as a processor wants it."""
    settings = asdict(recipe.data)
    return CaptionData(recipe.source, processor, seed=recipe.seed, encoder=encoder, answer=answer, **settings)


def kept_encoder(captioner: Model, recipe: Recipe) -> Encoder | None:
    """The vision tower, if what it makes of an image is the same in every epoch and may be kept."""
    changing = {
        "features=off": recipe.features == "off",
        "the vision tower trains": captioner.tower_trains,
        "images are augmented": recipe.augment is not None,
    }
    if why := next((reason for reason, holds in changing.items() if holds), None):
        log.info("features are computed anew in each epoch: %s", why)
        return None
    encode = encoding(captioner, recipe)
    probe = encode(torch.zeros(1, 3, *captioner.processor.image_size, dtype=torch.uint8))
    return Encoder(
        weights=captioner.tower_digest(),
        encoding=captioner.encoding,
        arithmetic=recipe.arithmetic,
        shape=(probe.shape[1], probe.shape[2]),
        dtype=np.float32 if recipe.features == "fp32" else np.float16,
        encode=encode,
        # The baselines see each training image once more.
        passes=recipe.settings["trainer"]["max_epochs"] + 1 if recipe.features == "auto" else None,
    )


def best_captioner(folder: RunFolder, recipe: Recipe) -> Model:
    """A run's captioner with its best weights, in eval mode on the CPU."""
    captioner = build_captioner(recipe)
    load_best(captioner, folder)
    return captioner


def load_best(captioner: Model, folder: RunFolder) -> None:
    """Put the best checkpoint's weights into a captioner of the same recipe."""
    load_checkpoint(captioner, load(folder.best_checkpoint()))
    captioner.eval()
