"""Lightning's Trainer as a recipe asks for it; what rococap sets itself is refused by `rococap.checks.trainer`."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers import Logger

from rococap.config import build
from rococap.data.datamodule import CaptionData
from rococap.processes.identity import Process
from rococap.recipe.recipe import plain
from rococap.runs import interruption
from rococap.runs.folder import EARLY, RunFolder
from rococap.training.checkpoints import TimeOver, WholeCheckpoints
from rococap.training.module import CaptionModule
from rococap.training.started import Started

# Settings of the Trainer's that mean the same here, but are done elsewhere.
_OURS = ("max_time", "overfit_batches")


def build_trainer(
    settings: DictConfig,
    arithmetic: str,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    process: Process,
    folder: RunFolder,
) -> pl.Trainer:
    """The Trainer of a run.

    Args:
        settings: the recipe's `trainer`.
        arithmetic: the Trainer's word for the precision.
        process: which of the run's this is.
    """
    asked = {key: value for key, value in plain(settings).items() if key not in _OURS}
    if process.count == 1:
        asked.pop("strategy", None)  # of several processes: one would look for others where none are
    if asked.get("enable_progress_bar") is False:
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
    trainer: pl.Trainer = build(
        asked,
        precision=arithmetic,
        callbacks=list(callbacks),
        logger=list(loggers),
        plugins=[Started(process), WholeCheckpoints()],
        default_root_dir=str(folder.path),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the data's own sampler shares batches out
    )
    return trainer


def fit(trainer: pl.Trainer, module: CaptionModule, data: CaptionData, folder: RunFolder) -> str | None:
    """Train, or go on where the folder's run stopped; gives what ended that before the last epoch, if anything did."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=folder.last_checkpoint(loudly=True))
    except TimeOver:
        return "trainer.max_time"
    finally:
        interruption.release()
    return EARLY if trainer.current_epoch < (trainer.max_epochs or 0) else None
