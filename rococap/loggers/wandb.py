"""`logger=[wandb]`: Weights & Biases, beside the run folder's own metrics.csv."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from rococap.runs.folder import RunFolder
from rococap.types import UserError

if TYPE_CHECKING:
    from rococap.loggers.wandb_run import WandbRun


def wandb_logger(
    folder: RunFolder,
    recipe: Mapping[str, Any],
    *,
    project: str,
    mode: Literal["auto", "online", "offline"],
    images: int,
    log_model: bool,
) -> WandbRun:
    """Weights & Biases, its files in the run folder. The jobs of a sweep are a group.

    Args:
        project: on the dashboard.
        mode: auto is online where an account is configured on this machine, else offline.
        images: of the test split, in a table with their captions.
        log_model: keeps the best weights there too.

    Raises:
        UserError: wandb is not installed.
    """
    try:
        import wandb
    except ImportError:
        raise UserError("logger=wandb needs wandb: pip install wandb, or take logger=[csv].") from None
    from rococap.loggers.wandb_run import WandbRun, going_on

    os.environ["WANDB_DATA_DIR"] = str(folder.path.resolve() / "wandb")  # not the home folder, for what it is to send
    wandb.finish(exit_code=1)  # what a failed job of the same sweep left open
    if mode == "auto":
        mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
    # The same id again, so that a run that goes on stays one run on the dashboard.
    identity = folder.state.get("wandb_id") or secrets.token_hex(4)
    start: dict[str, Any] = {"id": identity, "resume": "allow"}
    epochs: list[dict[str, float]] = []
    if mode == "offline":
        identity, start, epochs = going_on(folder, identity)
    folder.note(wandb_id=identity)
    return WandbRun(
        folder=folder,
        epochs=epochs,
        images=images,
        adapter=log_model,
        project=project,
        save_dir=str(folder.path),
        mode=mode,
        config=dict(recipe),
        job_type="train",
        settings=wandb.Settings(
            silent=True,
            console="off",
            git_root=str(Path(__file__).parents[2]),  # of the code, wherever the command is given
            x_transaction_log_flush_interval=1,  # seconds that a kill can lose
        ),
        **_place(folder, recipe),
        **start,
    )


def _place(folder: RunFolder, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Where the run stands on the dashboard: a sweep's job is named by what differs, as its folder is."""
    hydra = HydraConfig.get()
    tags = [str(hydra.runtime.choices[group]) for group in ("data", "model")]
    if hydra.mode != RunMode.MULTIRUN:
        return {"name": str(recipe["name"]), "tags": tags}
    sweep = folder.path.resolve().parent
    dated = sweep.parent.name != "multirun"  # a sweep without a name: multirun/DATE/TIME
    group = f"{sweep.parent.name}/{sweep.name}" if dated else sweep.name
    return {"name": folder.path.name, "group": group, "tags": tags}
