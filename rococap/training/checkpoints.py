"""When a run's state is kept, so that it goes on from there as if it had never stopped; and which states stay."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from rococap.cli import Interrupted
from rococap.data.dataset import NoBatch
from rococap.data.kept.files import whole_file
from rococap.runs import interruption
from rococap.runs.checkpoints import load
from rococap.runs.folder import RunFolder
from rococap.training.keep import Keep
from rococap.types import Batch

log = logging.getLogger(__name__)

# Before an epoch's last step so many seconds of training are kept: its validation may take long, and be interrupted.
_WORTH = 30.0
_DUE, _OVER = 1, 2  # why a state is kept; the greater one goes for all processes
_REMEDY = "Free some space, or keep less: checkpoint.keep=best+last. The same command goes on."


class TimeOver(Exception):
    """trainer.max_time is over; what was trained is kept."""


class WholeCheckpoints(CheckpointIO):
    """Checkpoints written whole or not at all, and read only where they are whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """As Lightning asks; `path` is a file of this machine."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file, _REMEDY) as stream:
            try:
                torch.save(checkpoint, stream)
            except RuntimeError as error:  # PyTorch's archive finds itself too short where the disk was full
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """As Lightning asks; to the CPU, and never more than tensors and plain values."""
        return load(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """As Lightning asks."""
        Path(path).unlink(missing_ok=True)


class Checkpoints(Checkpoint):
    """Keeps a run's state: after each epoch, each `every` seconds, before the run ends by a signal or for want of time.

    Within an epoch that is between two steps of the optimizer, never after the epoch's last one: what comes then,
    validation and all that hangs on it, comes again after the same last step.

    Args:
        every: seconds; None: only after an epoch.
        limit: seconds that this session may train; None: no limit.
        keep: which epochs' weights stay.
    """

    def __init__(self, folder: RunFolder, every: float | None, limit: float | None, keep: Keep) -> None:
        self.folder, self.every, self.limit, self.keep = folder, every, limit, keep
        self.begun = self.saved = time.monotonic()
        self.batches = 0  # of the epoch that is going on, which the state to be kept has behind it
        self.done = 0  # the same, where a state could be kept right now

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begun = self.saved = time.monotonic()
        interruption.listen()  # Lightning has put its own handler of SIGTERM before ours
        interruption.hold()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        done, each = batch_idx + 1, trainer.accumulate_grad_batches
        self.done = 0
        if done % each or done >= trainer.num_training_batches:
            return
        self.done = done
        signal, why = self._agreed(trainer, last=done + each >= trainer.num_training_batches)
        if why:
            self.batches = done
            trainer.save_checkpoint(self.folder.last)
            self.batches, self.saved = 0, time.monotonic()
        self._end(signal, over=why == _OVER)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Of several processes the others do not know of it, and would not take part.
        if isinstance(exception, NoBatch) and self.done and trainer.world_size == 1:
            self.batches = self.done
            trainer.save_checkpoint(self.folder.last)
            self.batches = 0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        interruption.release()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            interruption.hold()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        file = self.folder.checkpoint(trainer.current_epoch)
        trainer.save_checkpoint(file)
        if trainer.is_global_zero:
            with file.open("rb") as source, whole_file(self.folder.last, _REMEDY) as last:
                shutil.copyfileobj(source, last, 16 << 20)
            self.keep.tidy(self.folder)
        self.saved = time.monotonic()
        signal, why = self._agreed(trainer, last=False)
        self._end(signal, over=why == _OVER and trainer.current_epoch + 1 < (trainer.max_epochs or 0))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["batches"] = self.batches

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        batches = checkpoint.get("batches", 0)
        trainer.datamodule.go_on(checkpoint["epoch"] + (batches == 0), batches)  # type: ignore[attr-defined]

    def _agreed(self, trainer: pl.Trainer, *, last: bool) -> tuple[int, int]:
        """The signal that came to any of the processes, and why the state is kept now, if it is: all do the same."""
        now = time.monotonic()
        over = self.limit is not None and now - self.begun >= self.limit
        due = self.every is not None and (now - self.saved >= self.every or (last and now - self.saved >= _WORTH))
        signal = interruption.asked() or 0
        why = _OVER if over else _DUE if due or signal else 0
        if trainer.world_size > 1:
            both: Tensor = torch.tensor([signal, why], device=trainer.strategy.root_device)
            torch.distributed.all_reduce(both, op=torch.distributed.ReduceOp.MAX)
            signal, why = both.tolist()
        return signal, why

    def _end(self, signal: int, *, over: bool) -> None:
        if signal:
            raise Interrupted(signal)
        if over:
            raise TimeOver
