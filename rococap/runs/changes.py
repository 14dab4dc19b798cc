"""What has changed since a run was begun: its recipe, code, config files or data; and what is then done with it."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from rococap.config import build
from rococap.runs.batches import batch_of_all
from rococap.runs.environment import digests
from rococap.runs.folder import EARLY, RunFolder
from rococap.runs.locks import next_aside, set_aside
from rococap.runs.place import PLACE
from rococap.types import UserError

log = logging.getLogger(__name__)

# What says where a run lies and what is written and shown of it; its captions and their scores do not hang on it.
BESIDE = ("name", "on_change", "baselines", "checkpoint", "logger", "metrics", "callbacks.progress")
# What cannot change weights may differ when a run goes on.
_FREE = (
    *BESIDE, *PLACE, "data.workers", "data.allow_missing", "decoding.batch_size", "callbacks.early_stopping",
    "trainer.log_every_n_steps", "trainer.max_time", "trainer.min_epochs", "trainer.enable_progress_bar",
    "trainer.profiler", "trainer.detect_anomaly",
)  # fmt: skip
_LENGTH, _PATIENCE = "trainer.max_epochs", "callbacks.early_stopping"
# How many processes share the images of a step: the step is the same.
_SHARING = ("data.batch_size", "data.global_batch_size", "trainer.devices", "trainer.num_nodes")


class Ingredients:
    """What a run that begins now is made of: code, config files, data."""

    def __init__(self, hydra: HydraConf) -> None:
        self.files = digests(conf_folder(hydra))
        self._data: dict[str, str] = {}

    def data(self, recipe: DictConfig) -> str:
        """Fingerprint of a recipe's dataset, read once; raises UserError where the dataset is missing."""
        key = json.dumps(OmegaConf.to_container(recipe.data.source, resolve=True), sort_keys=True)
        if key not in self._data:
            self._data[key] = build(recipe.data.source).fingerprint()
        return self._data[key]


@dataclass(frozen=True)
class Outdated:
    """A folder whose run is not what would be run now."""

    folder: RunFolder
    recipe: list[str]  # `lora.rank was 8, is 16`
    made_of: list[str]  # some of `code`, `conf/`, `data`

    @property
    def only_by_files(self) -> bool:
        """Whether config files have changed, which may well make the recipe another; else the command is another."""
        return "conf/" in self.made_of or not self.recipe


def conf_folder(hydra: HydraConf) -> Path:
    """The folder that a config was composed from."""
    return Path(next(source.path for source in hydra.runtime.config_sources if source.provider == "main"))


def outdated(folder: RunFolder, recipe: DictConfig, now: Ingredients) -> Outdated | None:
    """What tells a folder's run from one that begins now; None where nothing does, or nothing was begun."""
    if not folder.begun:
        return None
    was = folder.environment
    made_of = [said for key, said in (("code", "code"), ("conf", "conf/")) if was and was[key] != now.files[key]]
    try:
        made_of += ["data"] if was and was["data"] != now.data(recipe) else []
    except UserError:
        if not folder.done:
            raise
        log.warning("%s: its data is not there to be compared", folder.path)
    found = Outdated(folder, differences(folder, recipe), made_of)
    return found if found.recipe or found.made_of else None


def resolve(found: Sequence[Outdated], on_change: str) -> None:
    """Do what `on_change` says with outdated runs: keep them as they are, or set all of them aside.

    Raises:
        UserError: it says to stop; or to keep a run that cannot go on, since its recipe is another.
    """
    if on_change == "rerun":
        for each in found:
            log.warning("%s was set aside: it is now %s", each.folder.path, set_aside(each.folder.path))
        return
    kept = [each for each in found if on_change == "keep" and each.only_by_files]
    kept = [each for each in kept if each.folder.done or not each.recipe]
    if refused := [each for each in found if each not in kept]:
        raise UserError(refusal(refused))
    for each in kept:
        log.warning("%s is kept; changed since: %s", each.folder.path, ", ".join([*each.made_of, *each.recipe]))
        facts = each.folder.path / "environment.json"
        if not each.folder.done:  # the run that goes on writes its own
            shutil.copyfile(facts, next_aside(facts))


def write_environment(folder: RunFolder, now: dict[str, Any]) -> None:
    """Write environment.json; that of a run which goes on with another device, precision or package stays beside it."""
    was = folder.environment
    here, there = ({**facts, **facts.get("versions", {})} for facts in (now, was))
    keys = [key for key in ("device", "precision", "python", *now["versions"]) if there.get(key) is not None]
    if moved := [f"{key} was {there[key]}, is {here[key]}" for key in keys if there[key] != here[key]]:
        log.warning("%s goes on elsewhere than it began: %s", folder.path, "; ".join(moved))
        shutil.copyfile(file := folder.path / "environment.json", next_aside(file))
    folder.write_json("environment.json", now)


def differences(folder: RunFolder, recipe: DictConfig) -> list[str]:
    """`lora.rank was 8, is 16` for every setting that can change weights."""
    was, now = weighty(folder.config), weighty(recipe)
    folder.verify("config.yaml")
    missing = "absent"
    if _is_level(now) and now[_LENGTH] > was.get(_LENGTH, math.inf):
        was[_LENGTH] = now[_LENGTH]  # the epochs that are done are those of the longer run too
    found = {
        key: f"{key} was {was.get(key, missing)}, is {now.get(key, missing)}"
        for key in sorted(was.keys() | now.keys())
        if was.get(key, missing) != now.get(key, missing)
    }
    if _LENGTH in found and not _is_level(now):
        found[_LENGTH] += " (the learning rate follows the whole length; it may grow with scheduler=constant warmup=0)"
    return list(found.values())


def _is_level(settings: Mapping[str, Any]) -> bool:
    """Whether the learning rate is the same in a longer run."""
    return str(settings.get("scheduler._target_")).endswith(".constant") and not settings.get("scheduler.warmup")


def weighty(recipe: DictConfig) -> dict[str, Any]:
    """The resolved settings that can change weights, by their paths; of batches, how many images all processes take."""
    return {**settings_without(recipe, (*_FREE, *_SHARING)), "data.batch_size": batch_of_all(recipe)}


def settings_without(recipe: DictConfig, places: Sequence[str]) -> dict[str, Any]:
    """The resolved settings by their paths, but for those at some places in the recipe or below them."""
    left_out = tuple(f"{place}." for place in places)
    settings = _flat(OmegaConf.to_container(recipe, resolve=True))
    return {key: value for key, value in settings if not f"{key}.".startswith(left_out)}


def complete(folder: RunFolder, recipe: DictConfig) -> bool:
    """Whether a run has done all that a recipe asks for, which may be more than when it ended."""
    was = folder.config
    epochs, patience = ([OmegaConf.select(each, key) for each in (was, recipe)] for key in (_LENGTH, _PATIENCE))
    longer = epochs[0] is not None and epochs[0] < epochs[1]
    patient = folder.stopped == EARLY and patience[0] != patience[1]
    return folder.done and not longer and not patient


def refusal(found: Sequence[Outdated]) -> str:
    """Why runs are refused, and what to do about it; those of one kind are named by the first."""
    lines = []
    for kind in ("recipe", "made_of"):
        if not (each := [one for one in found if bool(one.recipe) == (kind == "recipe")]):
            continue
        where = f"{each[0].folder.path}{f' (and {len(each) - 1} more)' if each[1:] else ''}"
        if kind == "recipe":
            lines.append(f"{where} holds a run of another recipe: {'; '.join(each[0].recipe)}.")
            lines.append("Take another name, give the same settings, or set it aside with on_change=rerun.")
        else:
            lines.append(f"{where} was made with what has changed since: {', '.join(each[0].made_of)}.")
            lines.append("on_change=keep takes it as it is; on_change=rerun sets it aside and runs anew.")
    return "\n".join(lines)


def _flat(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [item for key, value in node.items() for item in _flat(value, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, node)]
