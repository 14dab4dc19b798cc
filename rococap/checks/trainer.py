"""Settings of Lightning's Trainer, `trainer.SETTING`: those that work, and those that rococap refuses, with its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rococap.checks.durations import SAID, seconds

# Each is tried in the tests.
WORKS = frozenset({
    "accelerator", "strategy", "devices", "num_nodes", "max_epochs", "min_epochs", "max_time", "limit_val_batches",
    "overfit_batches", "check_val_every_n_epoch", "log_every_n_steps", "enable_progress_bar", "accumulate_grad_batches",
    "gradient_clip_val", "gradient_clip_algorithm", "deterministic", "benchmark", "profiler", "detect_anomaly",
})  # fmt: skip
# They change nothing here: no batch norm is trained, nothing is called hyperparameter.
HARMLESS = frozenset({"inference_mode", "sync_batchnorm", "enable_autolog_hparams"})
_WHOLE = "an epoch is all that data.fraction takes, and ends with its validation and checkpoint"
REFUSED = {
    "precision": "say precision=fp32, fp16, bf16, int8, nf4 or auto",
    "callbacks": "say callbacks=[early_stopping,progress]",
    "logger": "say logger=[csv,wandb]",
    "plugins": "rococap brings its own",
    "num_sanity_val_steps": "the first epoch validates soon enough",
    "default_root_dir": "the run's folder is multirun/NAME: say name=NAME",
    "enable_model_summary": "the table of what trains comes with every run",
    "enable_checkpointing": "a run without checkpoints has no best one: checkpoint.keep=best+last keeps two",
    "use_distributed_sampler": "the data's own sampler shares batches out",
    "max_steps": "say trainer.max_epochs, with data.fraction for less data, or trainer.max_time",
    "min_steps": "say trainer.min_epochs",
    "fast_dev_run": "say experiment=smoke",
    "limit_train_batches": f"say data.fraction: {_WHOLE}",
    "limit_test_batches": "the test split is captioned as a whole",
    "limit_predict_batches": "the test split is captioned as a whole",
    "val_check_interval": f"say trainer.check_val_every_n_epoch: {_WHOLE}, so that what is called best was validated",
    "reload_dataloaders_every_n_epochs": "the order of each epoch is known from the seed",
    "barebones": "a run keeps its metrics and checkpoints",
    "model_registry": "the best weights lie in the run's folder, in adapter/ or model/",
}


def trainer_faults(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Paths and what is wrong there, of a config in plain values."""
    trainer = config.get("trainer")
    if not isinstance(trainer, dict):
        return
    for name in trainer:
        if name in REFUSED:
            yield f"trainer.{name}", f"is not for you to set here: {REFUSED[name]}"
    limit = trainer.get("max_time")
    if limit is not None and not seconds(limit):
        yield "trainer.max_time", f"must be {SAID}, or DD:HH:MM:SS, not {limit!r}"
    if "check_val_every_n_epoch" in trainer and trainer["check_val_every_n_epoch"] is None:
        yield "trainer.check_val_every_n_epoch", "must be a number: validation comes at the end of an epoch"
    few = trainer.get("overfit_batches", 0)
    if isinstance(few, int | float) and (few < 0 or (few > 1 and few != int(few))):
        yield "trainer.overfit_batches", f"must be a number of batches, or a share of them from 0 to 1, not {few}"


def checkpoint_faults(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The same of `checkpoint`."""
    checkpoint = config.get("checkpoint")
    if not isinstance(checkpoint, dict):
        return
    every, keep = checkpoint.get("every"), checkpoint.get("keep")
    if isinstance(every, str) and not seconds(every) and every != "???":
        yield "checkpoint.every", f"must be {SAID}, or null, not {every!r}"
    number = isinstance(keep, int) and not isinstance(keep, bool) and keep >= 1
    if not number and keep not in ("auto", "all", "best+last", "???"):
        yield "checkpoint.keep", f"must be auto, all, best+last or a number of epochs, not {keep!r}"
