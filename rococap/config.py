"""The typed root of a run's config."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import MISSING, OmegaConf

from rococap.types import UserError


@dataclass
class ColumnsConfig:
    image: str | None = MISSING
    caption: str | None = MISSING
    split: str | None = MISSING
    group: str | None = MISSING  # the patient or the article
    concepts: str | None = MISSING
    licence: str | None = MISSING


@dataclass
class DataConfig:
    source: dict[str, Any] = MISSING  # the dataset: a `_target_` that gives a Source
    root: str | None = MISSING  # where the dataset lies
    path: str | None = MISSING  # on the hub; null: datasets that have none
    columns: ColumnsConfig | None = MISSING  # of a table of one's own, what holds what; null: datasets that have none
    fraction: float = MISSING  # of the training split, 0 < fraction <= 1
    subset_seed: int = MISSING  # which nested subsets
    batch_size: Any = MISSING  # of each process; auto: what fits into memory
    global_batch_size: int | None = MISSING  # of all processes together; null: as many times batch_size
    workers: int | None = MISSING  # processes that read images; null: as the machine has cores
    val_images: int | None = MISSING  # captioned at each validation, fixed and seeded; null: all
    max_tokens: int = MISSING  # of a training caption, end token included; the rest is cut and counted
    length_pool: int = MISSING  # batches within which captions are sorted by length
    drop_leaks: bool = MISSING  # leave out of training what also stands in valid or test
    allow_missing: bool = MISSING  # use a split of which more than a tenth is not there
    stream: Any = MISSING  # whether training images are decoded anew in each epoch: true, false, auto
    window: int = MISSING  # shards that are shuffled together where they are fetched while they are streamed


@dataclass
class DecodingConfig:
    max_new_tokens: int = MISSING
    num_beams: int = MISSING
    batch_size: int = MISSING


@dataclass
class ConceptsConfig:
    kind: str = MISSING  # all, or those that a person assigned (manual)
    min_count: int = MISSING  # training images that a concept must have to be a label
    threshold: Any = MISSING  # global, per_class or a probability
    weight: float = MISSING  # of a head of concepts that trains beside a captioner
    run: str | None = MISSING  # folder of a detector's run, for model.concepts=predicted
    neighbours: int = MISSING  # training images that the baseline of that name looks at


@dataclass
class CheckpointConfig:
    every: str | None = MISSING  # a time such as 15min; null: only after an epoch
    keep: Any = MISSING  # of the epochs' checkpoints: auto, all, best+last or a number


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
    concepts: ConceptsConfig = MISSING
    checkpoint: CheckpointConfig = MISSING
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
    """Make what `_target_` nodes name, at every depth; their other settings are its arguments, as plain values.

    Hydra finds each target, and refuses those on its block list. It does not see the arguments: it would resolve text
    a second time, so that a folder called `${x}` becomes something else.

    Args:
        node: a config, resolved here and once; or plain values, taken as they are.
        arguments: more of them for the outermost target, or in place of those it has.

    Raises:
        UserError: of the target, or because there is no such target: a run of another version may name one.
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return _built({**plain, **arguments} if isinstance(plain, dict) else plain)


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return [_built(each) for each in value]
    if not isinstance(value, dict):
        return value
    recursive = value.get("_recursive_", True)
    settings = {key: each for key, each in value.items() if key not in {"_recursive_", "_convert_"}}
    inside = {key: _built(each) if recursive else each for key, each in settings.items()}
    if "_target_" not in inside:
        return inside
    target = _located(inside.pop("_target_"))
    positional, is_partial = inside.pop("_args_", []), inside.pop("_partial_", False)
    return functools.partial(target, *positional, **inside) if is_partial else target(*positional, **inside)


def _located(name: Any) -> Callable[..., Any]:
    try:
        found = instantiate({"_target_": name, "_partial_": True})
    except InstantiationException as error:
        if str(error).startswith("Error locating target"):
            raise UserError(
                f"{name} is not there: the recipe is of another version of rococap, or names a package that this "
                "Python lacks.\nOpen it with that version, or train anew under another name."
            ) from error
        raise UserError(f"{name} cannot be built: {' '.join(str(error).split())[:300]}") from error
    called: Callable[..., Any] = found.func
    return called


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
