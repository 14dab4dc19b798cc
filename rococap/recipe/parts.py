"""The large parts that a recipe names, built: the captioner as it starts, and at its best; its data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from rococap.data.datamodule import CaptionData
from rococap.data.kept.features import Encoder
from rococap.models.accelerate import accelerate
from rococap.models.base import Captioner, Model
from rococap.models.checkpoint import load_checkpoint
from rococap.models.concept_head import ConceptHead, numbers_of
from rococap.recipe.captioning import asking, encoding
from rococap.recipe.prompting import MOST, Prompting
from rococap.recipe.recipe import Recipe
from rococap.runs.checkpoints import load
from rococap.runs.folder import RunFolder
from rococap.types import Answer, Beside, Example, Processor, UserError, caption_of, concepts_of

log = logging.getLogger(__name__)


def build_captioner(recipe: Recipe) -> Model:
    """The recipe's network, adapted as the recipe says, with the weights it starts from."""
    torch.manual_seed(recipe.seed)  # new modules have the same random values in every process
    captioner = recipe.network(replace(recipe.precision.loading(recipe.device), adapts=recipe.adapts))
    recipe.adapt(captioner)
    accelerate(captioner.network)
    return with_concepts(captioner, recipe)


def with_concepts(captioner: Model, recipe: Recipe) -> Model:
    """A captioner with what the recipe has it know of concepts."""
    if isinstance(captioner, Captioner):
        captioner.prompted = recipe.prompts
        if recipe.prompts:
            captioner.use += " (as it was trained, names of concepts stand before each caption; here there are none)"
        if recipe.concepts.weight > 0:
            probe = torch.zeros(1, 3, *captioner.processor.image_size, dtype=torch.uint8)
            with torch.no_grad():
                width = captioner.encode(probe).shape[2]
            captioner.concepts = ConceptHead(recipe.labels, width, recipe.concepts.weight)
            if not captioner.tower_trains:
                log.warning(
                    "concepts.weight=%g: the vision tower does not train, so that what the head learns of concepts "
                    "changes no caption.\nTake lora.train_vision_tower=true, or lora.parts=[tower,decoder].",
                    recipe.concepts.weight,
                )
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
    return data_for(recipe, captioner.processor, encoder, captioner.answer, beside(captioner, recipe))


def data_for(
    recipe: Recipe,
    processor: Processor,
    encoder: Encoder | None = None,
    answer: Answer = caption_of,
    beside: Callable[[Example, int], Beside] | None = None,
) -> CaptionData:
    """The recipe's dataset, as a processor wants it."""
    told: dict[str, Any] = {"encoder": encoder, "answer": answer, "beside": beside}
    return CaptionData(recipe.source, processor, seed=recipe.seed, **told, **asdict(recipe.data))


def beside(captioner: Model, recipe: Recipe) -> Callable[[Example, int], Beside] | None:
    """From an example, and the tokens of its caption, to labels and a prompt; None where the recipe has neither."""
    if not isinstance(captioner, Captioner) or not (captioner.concepts or recipe.prompts):
        return None
    processor, head, prompting = captioner.processor, captioner.concepts, prompting_of(recipe)

    def of(example: Example, count: int) -> Beside:
        labels = numbers_of(head.labels, concepts_of(example)) if head else ()
        room = min(MOST, processor.max_positions - max(count, 1) - 1)
        return Beside(labels, processor.prompt(prompting.of(example), room) if prompting else ())

    return of


def prompting_of(recipe: Recipe) -> Prompting | None:
    """Which concepts stand before each caption; None where none do."""
    return Prompting(recipe.prompts, recipe.concepts.folder, detecting) if recipe.prompts else None


def detecting(run: Path) -> Callable[[Image], str]:
    """From an image to the concepts that a run's best detector finds in it."""
    folder = RunFolder(run)
    recipe = Recipe.of_run(folder)
    detector = best_captioner(folder, recipe)
    encode, ask = encoding(detector, recipe), asking(detector, recipe)

    def detect(image: Image) -> str:
        pixels = torch.from_numpy(detector.processor.pixels(image))
        return ask(encode(pixels[None]))[0].text

    return detect


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
