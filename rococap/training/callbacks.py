"""What a Trainer tells the run folder."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping

from rococap.runs.folder import RunFolder
from rococap.runs.memory import peak_memory
from rococap.runs.monitor import monitored, sign
from rococap.runs.session import Clock

log = logging.getLogger(__name__)


class Records(Callback):
    """Keeps metrics.csv and run.json up to date, and logs each epoch."""

    def __init__(self, folder: RunFolder, monitor: str, clock: Clock) -> None:
        self.folder = folder
        self.monitor = monitor
        self.clock = clock
        self.validated = -1  # the last epoch that was

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._note(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validated = trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before the checkpoint is saved, so that no saved epoch lacks its row.
        metrics = trainer.callback_metrics  # asked for by every process: they sum it up together
        if not trainer.is_global_zero:
            return
        # Lightning keeps the values of an earlier epoch where this one was not validated.
        old = "val/" if self.validated != trainer.current_epoch else "train/loss_step"
        values = {name: float(value) for name, value in metrics.items() if not name.startswith(old)}
        values.pop("train/loss_step", None)
        values["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        if getattr(pl_module, "scale", 0.0):  # of fp16
            values["skipped_steps"] = float(pl_module.skipped)  # type: ignore[arg-type]
        row = {"step": float(trainer.global_step), **values, "wall_seconds": self.clock.seconds()}
        self.folder.add_metrics(trainer.current_epoch, row)
        for logger in trainer.loggers:
            logger.log_metrics({"epoch": trainer.current_epoch, **row}, step=trainer.global_step - 1)
        told = dict.fromkeys(("train/loss", "val/loss", self.monitor))  # metrics.csv has the others
        shown = "  ".join(f"{name} {values[name]:.4g}" for name in told if name in values)
        log.info("epoch %d/%d  %s", trainer.current_epoch + 1, trainer.max_epochs, shown)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._note(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._note(trainer)

    def _note(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        if self.folder.validated:
            monitor = self.folder.measured(self.monitor)
            epoch, score = self.folder.best_epoch(monitor)
            best = self.folder.checkpoint(epoch).relative_to(self.folder.path).as_posix()
            self.folder.note(best_checkpoint=best, best_score=score, monitor=monitor)
        # Of an epoch that has just come to its end too.
        done = trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
        self.folder.note(epochs_done=done, epochs=trainer.max_epochs, step=trainer.global_step)
        self.clock.note()
        self.folder.note_peak(peak_memory(trainer.strategy.root_device.type))


class _Stopping(EarlyStopping):
    """Decides by metrics.csv alone: it holds all epochs also where a run goes on with another monitor or patience."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go through the epochs that are done as if they came now."""
        folder = next(each.folder for each in trainer.callbacks if isinstance(each, Records))  # type: ignore[attr-defined]
        done = [row for row in folder.metrics() if int(row["epoch"]) < trainer.current_epoch and row.get(self.monitor)]
        for row in done:
            stop, _ = self._evaluate_stopping_criteria(torch.tensor(float(row[self.monitor])))
            if stop:  # it was killed between its last epoch and its scores
                trainer.should_stop = True
                return


def early_stopping(monitor: str, metrics: list[str], patience: int, min_delta: float) -> EarlyStopping:
    """Ends a run that does not get better.

    Args:
        monitor: as in the recipe; auto is what decides on the best checkpoint.
        metrics: names of those in the recipe.
        patience: epochs without a better value.
        min_delta: what counts as better.
    """
    monitor = monitored(monitor, metrics)
    return _Stopping(monitor, min_delta, patience, mode="max" if sign(monitor) > 0 else "min")
