"""A run that trains nothing: its one epoch is a validation of the captioner as it is."""

from __future__ import annotations

import pytorch_lightning as pl

from rococap.data.datamodule import CaptionData
from rococap.runs.folder import RunFolder
from rococap.runs.session import Clock
from rococap.training.checkpoints import WholeCheckpoints
from rococap.training.module import CaptionModule


def validate(
    trainer: pl.Trainer, module: CaptionModule, data: CaptionData, folder: RunFolder, monitor: str, clock: Clock
) -> None:
    """Keep the validation's scores as those of an epoch, and a checkpoint without weights: all is in the recipe."""
    trainer.validate(module, datamodule=data, verbose=False)
    if not trainer.is_global_zero:
        return
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    folder.add_metrics(0, {"step": 0.0, **values, "wall_seconds": clock.seconds()})
    epoch, score = folder.best_epoch(monitor)
    file = folder.checkpoint(epoch)
    WholeCheckpoints().save_checkpoint({"state_dict": {}, "epoch": 0, "global_step": 0}, file)
    best = file.relative_to(folder.path).as_posix()
    folder.note(best_checkpoint=best, best_score=score, monitor=monitor, epochs_done=0, epochs=0, step=0)
