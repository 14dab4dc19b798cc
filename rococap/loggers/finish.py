"""The last word of a finished run to all of its loggers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rococap.runs.results import Row
from rococap.types import Example

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


def finish(
    loggers: Iterable[Logger], rows: Sequence[Row], pages: Mapping[str, Path], examples: Sequence[Example], step: int
) -> None:
    """Hand a finished run's scores to its loggers, and pages and captions to W&B.

    Args:
        rows: of evaluation_results.csv; only the model's own on the whole split are told.
        pages: `report` and `samples`, as the run's report gives them.
        examples: the test split.
    """
    from pytorch_lightning.loggers import WandbLogger

    rows = [row for row in rows if (row.system, row.slice) == ("model", "all")]
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            from rococap.loggers.wandb_run import WandbRun

            assert isinstance(logger, WandbRun)
            logger.hand_in(rows, pages, examples)
        else:
            logger.log_metrics({f"{row.split}/{row.metric}": row.value for row in rows}, step=step)
        logger.finalize("success")
