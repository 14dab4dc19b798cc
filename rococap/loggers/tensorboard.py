"""`logger=[tensorboard]`, beside the run folder's own metrics.csv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rococap.runs.folder import RunFolder
from rococap.types import UserError

if TYPE_CHECKING:
    from pytorch_lightning.loggers import TensorBoardLogger


def tensorboard_logger(folder: RunFolder, recipe: Mapping[str, Any]) -> TensorBoardLogger:
    """TensorBoard, its files in `tensorboard/` of the run folder.

    Raises:
        UserError: tensorboard is not installed.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise UserError(
            "logger=tensorboard needs tensorboard: pip install tensorboard, or leave it out of logger=[...]."
        ) from None
    from pytorch_lightning.loggers import TensorBoardLogger

    # What was logged after the checkpoint that a run goes on from is hidden: it comes again.
    return TensorBoardLogger(save_dir=folder.path, name="tensorboard", version="", purge_step=folder.steps_done())
