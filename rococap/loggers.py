"""Loggers beyond the run folder's own metrics.csv; each takes the folder and the resolved recipe."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Literal

from rococap.records import RunFolder
from rococap.types import UserError

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger


def wandb_logger(
    folder: RunFolder, recipe: dict[str, Any], *, project: str, mode: Literal["auto", "online", "offline"]
) -> WandbLogger:
    """Weights & Biases, its files in the run folder.

    Args:
        project: on the dashboard.
        mode: auto is online where an account is configured on this machine, else offline.

    Raises:
        UserError: wandb is not installed.
    """
    try:
        import wandb
    except ImportError:
        raise UserError("logger=wandb needs wandb: pip install wandb, or take logger=[csv].") from None
    from pytorch_lightning.loggers import WandbLogger

    if mode == "auto":
        mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
    # The same id again, so that a run that goes on stays one run on the dashboard.
    identity = folder.state.get("wandb_id") or secrets.token_hex(4)
    folder.note(wandb_id=identity)
    logger = WandbLogger(
        name=str(recipe["name"]),
        project=project,
        save_dir=str(folder.path),
        id=identity,
        resume="allow" if mode == "online" else None,
        mode=mode,
        config=recipe,
        settings=wandb.Settings(silent=True, console="off"),
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning still passes it, and wandb warns of it
    return logger
