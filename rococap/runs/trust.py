"""Whether what a run's folder names may be built. To build is to run code, and a folder may be someone else's.

What a user types, and the config files that it is composed from, are the user's own and not looked at here.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from rococap.checks.source import Definition, NoSuchName, find
from rococap.types import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"
# Where a group takes classes of a library that no file of conf/ names, as `optimizer._target_=torch.optim.SGD`. These
# groups train: nothing of them is built where a folder is opened.
_LIBRARIES: dict[str, tuple[str, ...]] = {
    "optimizer": ("torch.optim", "transformers.optimization", "bitsandbytes.optim", "schedulefree"),
    "scheduler": ("torch.optim.lr_scheduler", "transformers.optimization"),
    "callbacks": ("pytorch_lightning.callbacks",),
    "logger": ("pytorch_lightning.loggers",),
    "trainer": (
        "pytorch_lightning.callbacks",
        "pytorch_lightning.plugins",
        "pytorch_lightning.profilers",
        "pytorch_lightning.strategies",
    ),
}
# Arguments that name a program to run, where this is found in them. Of shards those that a command delivers, and
# patterns of which that could be made.
_STARTS = {
    "rococap.metrics.bleurt.Bleurt": {"python": re.compile("")},
    "rococap.data.webdataset.WebDataset": {"root": re.compile(r"(?:^|::)(?:pipe:|[^/:]*[{$][^:]*:(?!:))")},
}


def require_trusted(recipe: DictConfig, folder: Path, only: str | None = None) -> None:
    """Refuse a recipe that names what conf/ of this checkout does not, or a program; raises UserError by name.

    Args:
        only: the config group that is built from it; None: all.
    """
    for where, node in _nodes(OmegaConf.to_container(recipe, resolve=True), ""):
        target = node["_target_"]
        group = where.partition(".")[0]
        if only not in (None, group):
            continue
        if not isinstance(target, str) or not (target in shipped().get(group, ()) or _of_library(target, group)):
            fault = f"{where}._target_={target}, which conf/{group} of this checkout does not name"
        elif "_args_" in node:
            fault = f"{where}._args_, arguments without names"
        elif programs := _programs(target, node):
            fault = f"{where}.{programs[0]}={node[programs[0]]}, a program to start"
        else:
            continue
        raise UserError(
            f"{folder}/config.yaml has {fault}: it was not run.\n"
            "A folder from someone else can run anything so. If you know what it names, and want it: --trust"
        )


def _programs(target: str, node: Mapping[str, Any]) -> list[str]:
    """The arguments that name a program."""
    marks = _STARTS.get(target, {})
    return [name for name, mark in marks.items() if node.get(name) is not None and mark.search(str(node[name]))]


@cache
def shipped() -> Mapping[str, frozenset[str]]:
    """The targets that conf/ names, by config group."""
    found: dict[str, set[str]] = {}
    for file in sorted(CONF.rglob("*.yaml")):
        group = file.relative_to(CONF).parts[0] if file.parent != CONF else ""
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        for where, node in _nodes(content, "" if "@package _global_" in text else group):
            found.setdefault(where.partition(".")[0], set()).add(str(node["_target_"]))
    return {group: frozenset(targets) for group, targets in found.items()}


def _nodes(value: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node that names a target, with its path."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield where, value
        for key, each in value.items():
            yield from _nodes(each, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _nodes(each, f"{where}.{index}")


def _of_library(target: str, group: str) -> bool:
    """Whether it is a class or a function that one of the group's libraries defines, by whatever path it is named."""
    try:
        found = find(target)
    except NoSuchName:
        return False
    defined = f"{found.module.name}." if isinstance(found, Definition) else ""
    return any(defined.startswith(f"{library}.") for library in _LIBRARIES.get(group, ()))


def require_inside(folder: Path) -> None:
    """Refuse a folder with links out of it, or with what is no file: writing there would write elsewhere.

    W&B's own folder has such links, and nothing reads or writes it where a run is opened.

    Raises:
        UserError: naming the first.
    """
    home = folder.resolve()
    for place, inside, files in os.walk(folder):
        inside[:] = [name for name in inside if name != "wandb"]
        for path in (Path(place, name) for name in (*inside, *files)):
            kind = path.lstat().st_mode
            if stat.S_ISLNK(kind) and not path.resolve().is_relative_to(home):
                fault = f"is a link out of the folder, to {path.resolve()}"
            elif not (stat.S_ISLNK(kind) or stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                fault = "is neither a file nor a folder"
            else:
                continue
            raise UserError(f"{path} {fault}: it was not followed.\nIf that is meant so: --trust")


def place_inside(folder: Path, name: object) -> Path:
    """Where a file lies that a folder's own records name; raises UserError where that is not in the folder."""
    path = PurePosixPath(str(name))
    if not isinstance(name, str) or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{folder}/run.json names a file that does not lie in this folder: {name}.")
    return folder / path
