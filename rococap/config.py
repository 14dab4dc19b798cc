"""The typed root of a run's config."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import MISSING

from rococap.types import UserError


@dataclass
class DataConfig:
    source: dict[str, Any] = MISSING  # the dataset: a `_target_` that gives a Source
    root: str | None = MISSING  # where the dataset lies
    fraction: float = MISSING  # of the training split, 0 < fraction <= 1
    subset_seed: int = MISSING  # which nested subsets
    batch_size: int = MISSING  # of each process
    global_batch_size: int | None = MISSING  # of all processes together; null: as many times batch_size
    workers: int | None = MISSING  # processes that read images; null: as the machine has cores
    val_images: int | None = MISSING  # captioned at each validation, fixed and seeded; null: all
    max_tokens: int = MISSING  # of a training caption, end token included; the rest is cut and counted
    length_pool: int = MISSING  # batches within which captions are sorted by length
    drop_leaks: bool = MISSING  # leave out of training what also stands in valid or test


@dataclass
class DecodingConfig:
    max_new_tokens: int = MISSING
    num_beams: int = MISSING
    batch_size: int = MISSING


@dataclass
class RunConfig:
    """Scalars are typed here; what each open group may hold is its `_target_`'s signature."""

    name: str = MISSING
    on_change: str = MISSING  # stop, keep or rerun
    seed: int = MISSING
    monitor: str = MISSING
    baselines: bool = MISSING  # score what the test captions are held against, see rococap.evaluation.baselines
    compile: bool = MISSING  # the training step by torch.compile
    checkpoint_activations: bool = MISSING  # compute them again in the backward pass: less memory, more time
    features: str = (
        MISSING  # of a frozen vision tower: auto keeps them in half precision where that pays, fp16, fp32, off
    )
    data: DataConfig = MISSING
    decoding: DecodingConfig = MISSING
    model: dict[str, Any] = MISSING
    lora: dict[str, Any] = MISSING
    optimizer: dict[str, Any] = MISSING
    scheduler: dict[str, Any] = MISSING
    precision: dict[str, Any] = MISSING
    augment: dict[str, Any] = MISSING
    trainer: dict[str, Any] = MISSING
    metrics: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)


_ROOT = "run_config"  # as conf/train.yaml names it


def build(node: Any, **arguments: Any) -> Any:
    """Instantiate a `_target_` node; a UserError of its target comes out as itself, not wrapped by Hydra.

    Raises:
        UserError: of the target, or because there is no such target: a run of another version may name one.
    """
    try:
        return instantiate(node, **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        if missing := re.match(r"Error locating target '([^']+)'", str(error)):
            raise UserError(
                f"{missing[1]} is not there: the recipe is of another version of rococap, or names a package that this "
                "Python lacks.\nOpen it with that version, or train anew under another name."
            ) from error
        raise


def register() -> None:
    """Put the typed root where `conf/train.yaml` names it."""
    ConfigStore.instance().store(name=_ROOT, node=RunConfig)


@contextmanager
def untyped_root() -> Iterator[None]:
    """Compose without types, for a check that reports every mistake where Hydra would stop at the first."""
    ConfigStore.instance().store(name=_ROOT, node={})
    try:
        yield
    finally:
        register()
