"""One run: every part is built here, in one line each."""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from statistics import mode

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor

from rococap.checks.durations import seconds
from rococap.config import build
from rococap.data.datamodule import CaptionData
from rococap.data.kept.files import write_whole
from rococap.evaluation import evaluate
from rococap.evaluation.baselines import share_base
from rococap.evaluation.watching import watch, watched
from rococap.loggers.finish import finish
from rococap.models.audit import audit, audit_table
from rococap.models.base import Model
from rococap.models.export import export
from rococap.processes.group import part, set_up
from rococap.recipe.labels import FILE, require_judged, write_labels
from rococap.recipe.memory import out_of_memory_named
from rococap.recipe.parts import build_captioner, build_data, load_best
from rococap.recipe.prompting import require_predictions
from rococap.recipe.recipe import Recipe
from rococap.runs.changes import conf_folder, write_environment
from rococap.runs.environment import environment
from rococap.runs.folder import ADAPTER, RunFolder
from rococap.runs.locks import is_helper
from rococap.runs.memory import peak_memory, reset_peak_memory
from rococap.runs.session import Clock
from rococap.training.augment import sheet
from rococap.training.batch_size import with_batch
from rococap.training.callbacks import Records
from rococap.training.checkpoints import Checkpoints
from rococap.training.keep import Keep
from rococap.training.module import CaptionModule
from rococap.training.optim import refuse_paged
from rococap.training.space import checkpoint_bytes, export_bytes, require_room
from rococap.training.trainer import build_trainer, fit
from rococap.training.zero_shot import validate

console = Console(quiet=is_helper())
_SHOWN = 6  # images, and draws of each


def train(cfg: DictConfig, folder: RunFolder, clock: Clock, report: evaluate.Report) -> None:
    """Train, caption and score by a composed recipe, or go on where the folder's run stopped.

    Args:
        folder: claimed by this process.
        clock: of this session.
        report: draws the run's page and samples.png; handed in, since pages stand above this.

    Raises:
        UserError: what the user can mend.
    """
    _quiet()
    pl.seed_everything(cfg.seed, verbose=False)
    recipe = replace(Recipe.of(cfg), folder=folder.path)
    processes = set_up(recipe.device, cfg.trainer.devices)
    reset_peak_memory(recipe.device)
    arithmetic = recipe.precision.lightning(recipe.device)
    optimizer = build(cfg.optimizer)
    refuse_paged(optimizer, recipe.device)
    scorer = evaluate.scorer(recipe.metrics)
    loggers = [logger(folder, recipe.settings) for logger in build(cfg.logger).values() if not is_helper()]
    recipe.source.examples("train")  # a missing dataset is said before a model is loaded
    if recipe.has_labels:
        if recipe.detects:
            require_judged(recipe.source, recipe.concepts.threshold)
        if not is_helper():
            write_labels(folder.path / FILE, recipe.labels)
    if recipe.prompts == "predicted" and recipe.concepts.folder is not None:
        require_predictions(recipe.concepts.folder)
    captioner = build_captioner(recipe)
    set_up_training(captioner, activations=cfg.checkpoint_activations, compiled=cfg.compile)
    parts = audit(captioner)
    size, epochs = checkpoint_bytes(captioner, optimizer, recipe.device), cfg.trainer.max_epochs
    keep = Keep.of(cfg.checkpoint.keep, recipe.monitor, size, epochs)
    require_room(folder, size, export_bytes(captioner), keep.newest, epochs)
    recipe = with_batch(recipe, captioner, folder, round(cfg.data.fraction * len(recipe.source.examples("train"))))
    data = build_data(recipe, captioner)
    facts = environment(conf_folder(HydraConfig.get()), recipe.device, arithmetic, data.fingerprint)
    write_environment(folder, facts)
    data.examples(data.validates_on)  # images and tokens are made ready before anything runs
    evaluate.note_missing(data, folder)
    folder.note(common_caption=mode(data.answer(example) or "" for example in data.examples("train")))
    console.print(audit_table(parts))
    folder.note(trainable_parameters=sum(part.trainable for part in parts))
    if recipe.augment is not None and not is_helper():
        _show(recipe.augment, data, folder)
    module = CaptionModule(
        captioner,
        optimizer,
        build(cfg.scheduler),
        watched(scorer, watch(captioner, folder, recipe)),
        recipe.decoding.options,
        recipe.seed,
        recipe.augment,
    )
    limit = seconds(recipe.settings["trainer"].get("max_time"))
    callbacks = [
        *build(cfg.callbacks).values(),
        Records(folder, recipe.monitor, clock),
        Checkpoints(folder, seconds(cfg.checkpoint.every), limit, keep),
    ]
    trainer = build_trainer(cfg.trainer, arithmetic, callbacks, loggers, processes.process, folder)
    captioner.train()  # where features were just encoded it is in eval mode, and Lightning would leave it there
    with clock.part("training"), out_of_memory_named(recipe, training=True):
        if captioner.trains:
            folder.note(stopped_by=fit(trainer, module, data, folder))
        else:
            validate(trainer, module, data, folder, recipe.monitor, clock)
    processes.wait()  # run.json names the best
    if math.isnan(folder.best_score):  # it was stopped before the first validation
        return _go_on_alone()
    load_best(captioner, folder)
    if captioner.trains and not is_helper():
        export(captioner, folder.path)
        folder.seal(ADAPTER)
    examples = data.examples("test")  # prepared once for all runs: no part of what captioning costs this one
    with clock.part("captioning"), out_of_memory_named(recipe, training=False):
        evaluate.caption_split(captioner, data, "test", folder, recipe)
    if processes.count > 1 and recipe.baselines:
        share_base(captioner, data, "test", recipe)
    _go_on_alone()  # scores are the first process's
    with clock.part("scoring"):
        rows = evaluate.score_split(captioner, data, "test", folder, recipe)
    pages = report(folder, "test", examples, captioner)
    folder.note_peak(peak_memory(recipe.device))
    finish(trainer.loggers, rows, pages, examples, trainer.global_step)


def _go_on_alone() -> None:
    """End the processes of the run but for the first."""
    part()
    if is_helper():
        sys.exit()


def _show(augment: Callable[[Tensor], Tensor], data: CaptionData, folder: RunFolder) -> None:
    """Write augment.png: what happens to the first training images."""
    images = data.dataset("train")
    first = images[list(range(min(_SHOWN, len(images.ids))))].pixel_values
    assert first is not None  # no features are kept of images that change
    shown = sheet(augment, first, _SHOWN)
    write_whole(folder.path / "augment.png", lambda file: shown.save(file, "PNG"))


def set_up_training(captioner: Model, *, activations: bool, compiled: bool) -> None:
    """What changes how a step is computed, and neither its result nor the names of weights.

    Args:
        activations: compute them again in the backward pass.
        compiled: the loss by torch.compile; captions, whose length grows, are generated as they were.
    """
    if activations:
        captioner.checkpoint_activations()
    if compiled:
        captioner.compile(dynamic=True)


def _quiet() -> None:
    """Silence advice that is about this program, not about the run."""
    lightning = ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda")
    for name in (*lightning, "pytorch_lightning.trainer", "lightning_fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # its sampler is
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # what is logged has been shared out
    for advice in (".*module\\(s\\) in eval mode.*", ".*smaller than the logging interval.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message=advice)
