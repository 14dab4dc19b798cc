"""Runs as they are compared: found in folders, and in what their recipes differ."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rococap.runs.changes import BESIDE, settings_without
from rococap.runs.folder import RunFolder
from rococap.runs.found import run_folders
from rococap.runs.place import PLACE
from rococap.types import Split, UserError

SEED = "seed"
_TARGET = "._target_"
COSTS = ("training_seconds", "captioning_seconds", "wall_seconds", "rss_mib", "gpu_mib", "trainable_parameters")


@dataclass(frozen=True)
class Run:
    """One run's folder, under a name that is short and still its own."""

    label: str
    folder: RunFolder
    recipe: Mapping[str, Any]  # settings by dotted name, without what says where the run lies
    state: str
    facts: Mapping[str, Any]  # run.json
    environment: Mapping[str, Any]  # environment.json

    @property
    def data(self) -> str:
        """The fingerprint of what it learnt from; where that is not known, no other run's."""
        return str(self.environment.get("data", self.folder.path))

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """Its settings by the names of axes; an axis that its recipe lacks is missing."""
        chosen = {axis_name(name): value for name, value in self.recipe.items()}
        return {name: chosen[name] for name in names if name in chosen}

    def guards(self, split: Split) -> dict[str, dict[str, Any]]:
        """By name, what was measured of its captions: `value`, and `warning` where that is out of bounds."""
        return {guard["name"]: guard for guard in self.facts.get("guards", {}).get(split, [])}

    @property
    def cost(self) -> dict[str, float]:
        """What is known of COSTS, memory at its peak.

        Wall time is the cost only of a run whose parts were not timed: the first job of a sweep decodes, encodes and
        scores baselines for all of them.
        """
        parts = {f"{name}_seconds": spent for name, spent in self.facts.get("seconds", {}).items()}
        found = {**self.facts, **self.facts.get("peak_memory", {}), **parts}
        if parts:
            found.pop("wall_seconds", None)
        return {name: float(found[name]) for name in COSTS if name in found}


@dataclass(frozen=True)
class Setting:
    """Runs of one recipe, which differ in nothing but the seed."""

    values: Mapping[str, Any]  # of the axes; an axis that its recipe lacks is missing
    runs: Sequence[Run]

    @property
    def label(self) -> str:
        """`lora.rank=4 data.fraction=0.1`"""
        return " ".join(f"{axis}={value_text(value)}" for axis, value in self.values.items()) or "all runs"

    @property
    def cost(self) -> dict[str, float]:
        """Means over its runs."""
        costs = [run.cost for run in self.runs]
        return {name: sum(c[name] for c in costs) / len(costs) for name in COSTS if all(name in c for c in costs)}


def find_runs(places: Sequence[Path], *, trusted: bool = False) -> list[Run]:
    """The runs in folders, and in folders in them, each once.

    Raises:
        UserError: a place is no folder, or holds no run.
    """
    folders: list[Path] = []
    for place in places:
        found = run_folders(place.resolve())
        if not found:
            what = "holds no run (a run's folder has config.yaml and run.json)" if place.is_dir() else "is no folder"
            raise UserError(f"{place} {what}. Give folders of runs or sweeps, such as multirun/NAME.")
        folders += [folder for folder in found if folder not in folders]
    above = Path(os.path.commonpath([folder.parent for folder in folders]))
    return _by_content([_read(RunFolder(folder, trusted), folder.relative_to(above).as_posix()) for folder in folders])


def _by_content(runs: Sequence[Run]) -> list[Run]:
    """Runs of the same data as if it had lain in one place: where the first of them had it."""
    first: dict[str, dict[str, Any]] = {}
    for run in runs:
        first.setdefault(run.data, {name: run.recipe[name] for name in PLACE if name in run.recipe})
    return [replace(run, recipe={**run.recipe, **first[run.data]}) for run in runs]


def axes(runs: Sequence[Run]) -> list[str]:
    """The settings in which recipes differ, the seed excepted.

    A setting that only some recipes have, since they chose another part of its group, counts if it differs among those:
    the choice says the rest. Of settings that follow one another (`data.source.root` is `data.root`), the shorter name
    stands for both.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.recipe if name != SEED))
    differing: dict[str, tuple[str, list[str]]] = {}
    for name in sorted(names, key=lambda name: name.count(".")):
        values = [value_text(run.recipe[name]) if name in run.recipe else "" for run in runs]
        counted = {value for value in values if value} if _is_of_a_choice(name, runs) else set(values)
        same = (name.rpartition(".")[2], values)
        if len(counted) > 1 and same not in differing.values():
            differing[name] = same
    return list(dict.fromkeys(axis_name(name) for name in names if name in differing))


def _is_of_a_choice(name: str, runs: Sequence[Run]) -> bool:
    """Whether the runs that lack a setting chose other parts than those that have it."""
    group = axis_name(name)
    while group := group.rpartition(".")[0]:
        chosen = [(name in run.recipe, run.recipe.get(f"{group}{_TARGET}")) for run in runs]
        if any(part for _, part in chosen):
            return not {part for has, part in chosen if has} & {part for has, part in chosen if not has}
    return False


def settings(runs: Sequence[Run], names: Sequence[str]) -> list[Setting]:
    """Runs by recipe, in their order, each with its values of the axes `names`; a part that it lacks is null."""
    parts = {axis_name(name) for run in runs for name in run.recipe if name.endswith(_TARGET)}
    groups: dict[str, list[Run]] = {}
    for run in runs:
        key = json.dumps({name: value_text(value) for name, value in run.recipe.items() if name != SEED})
        groups.setdefault(key, []).append(run)
    found = [(group[0].values(names), group) for group in groups.values()]
    return [Setting({name: has.get(name) for name in names if name in {*has, *parts}}, group) for has, group in found]


def axis_name(setting: str) -> str:
    """`lora._target_` is the choice of `lora`."""
    return setting.removesuffix(_TARGET)


def value_text(value: Any) -> str:
    """A setting's value as people write it; a part by its own name."""
    if isinstance(value, float):
        return f"{value:g}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _read(folder: RunFolder, label: str) -> Run:
    return Run(
        label,
        folder,
        {name: _own_name(name, value) for name, value in settings_without(folder.config, BESIDE).items()},
        folder.status,
        folder.state,
        folder.environment,
    )


def _own_name(setting: str, value: Any) -> Any:
    """A part without the modules that it lies in; any other value as it is."""
    return value.rpartition(".")[2] if setting.endswith(_TARGET) and isinstance(value, str) else value
