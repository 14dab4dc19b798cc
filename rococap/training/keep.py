"""Which epochs' checkpoints stay."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from rococap.runs.folder import RunFolder

log = logging.getLogger(__name__)

_LARGE = 1 << 30  # bytes of all epochs together beyond which auto keeps the best and the last only


@dataclass(frozen=True)
class Keep:
    """How many of the newest epochs' checkpoints stay, beside that of the best epoch and `last.ckpt`; None: all."""

    newest: int | None
    monitor: str

    @staticmethod
    def of(keep: str | int, monitor: str, size: int, epochs: int) -> Keep:
        """What `checkpoint.keep` says.

        Args:
            keep: all, best+last, a number of epochs, or auto: all, unless they come to more than 1 GiB.
            monitor: what the best epoch has the best value of.
            size: bytes of one checkpoint.
            epochs: of the whole run.
        """
        if keep == "auto":
            keep = "best+last" if size * epochs > _LARGE else "all"
            if keep != "all":
                log.info("%d checkpoints of %.1f GB: the best and the last are kept", epochs, size / 1e9)
        return Keep(None if keep == "all" else 0 if keep == "best+last" else int(keep), monitor)

    def tidy(self, folder: RunFolder) -> None:
        """Delete the checkpoints that need not stay; the newest epoch's row is in metrics.csv already."""
        if self.newest is None:
            return
        there = folder.epochs_kept()
        best = folder.best_epoch(folder.measured(self.monitor))[0] if folder.validated else None
        stays = {best, *sorted(there, reverse=True)[: self.newest]}
        for epoch, file in there.items():
            if epoch not in stays:
                file.unlink(missing_ok=True)
