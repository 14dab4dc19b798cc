"""Composes one job of a command line as Hydra would, and gathers what is wrong on the way."""

from __future__ import annotations

import copy
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rococap.checks.config import LISTED, Problem, problems
from rococap.checks.origins import origin
from rococap.checks.overrides import Groups, apply, choice_faults, is_choice
from rococap.types import UserError


class Composer:
    """Composes jobs; those that choose the same files share the reading of them."""

    def __init__(self, hydra: Hydra, config_name: str, line: list[str]) -> None:
        self.hydra, self.config_name = hydra, config_name
        self.searchpath = [word for word in line if word.startswith("hydra.searchpath=")]
        self.groups = Groups(hydra.config_loader, config_name, self.searchpath)
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._origins: dict[tuple[str, ...], str | None] = {}

    def recipe(self, overrides: list[Override]) -> DictConfig:
        """The config of a job that was found to be right, without its `hydra` node."""
        choices = self._choosing(overrides)
        values = [override for override in overrides if override not in choices]
        cfg = self._compose([_line(choice) for choice in choices], values)
        for value in values:
            if (fault := apply(cfg, value, self.groups)) is not None:
                raise UserError(f"{_line(value)}: {fault}")
        return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])

    def job(self, overrides: list[Override]) -> tuple[DictConfig | None, list[Problem]]:
        """The config of a job with its `hydra` node, None where it can't be composed; and what is wrong in it."""
        choices = self._choosing(overrides)
        faults = {_line(choice): list(choice_faults(choice, self.groups)) for choice in choices}
        found = [Problem(line, fault) for line, each in faults.items() for fault in each]
        chosen = [line for line, each in faults.items() if not each]
        try:
            cfg = self._compose(chosen, [override for override in overrides if override not in choices])
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            return None, [*found, Problem(" ".join(chosen) or "config", _reason(error))]
        # What is set inside a group that could not be chosen can't be judged.
        unknown = tuple(f"{choice.key_or_group}." for choice in choices if faults[_line(choice)])
        values = [o for o in overrides if o not in choices and not o.key_or_group.startswith(unknown)]
        for value in values:
            if (fault := apply(cfg, value, self.groups)) is not None:
                found.append(Problem(_line(value), fault))
        for problem in problems(cfg):
            if not any(_covers(value, problem.path) for value in values):
                file = self._origin(problem.path, cfg, chosen)
                problem = problem._replace(fault=f"{problem.fault} ({file})" if file else problem.fault)
            found.append(problem)
        return cfg, found

    def choices(self, overrides: list[Override]) -> dict[str, Any]:
        """The choice of each config group, or list of choices, in a job that was found to be right."""
        chosen = [_line(choice) for choice in self._choosing(overrides)]
        single = {str(group): choice for group, choice in self._compose(chosen, []).hydra.runtime.choices.items()}
        # Hydra tells of single choices only.
        loader, line = self.groups.loader, [*chosen, *self.searchpath]
        files = [str(d.config_path) for d in loader.compute_defaults_list(self.config_name, line, RunMode.RUN).defaults]
        listed = {
            group: [file.removeprefix(f"{group}/") for file in files if file.startswith(f"{group}/")]
            for group in LISTED
        }
        return single | listed

    def _choosing(self, overrides: list[Override]) -> list[Override]:
        return [override for override in overrides if is_choice(override, self.groups)]

    def _origin(self, path: str, cfg: DictConfig, chosen: list[str]) -> str | None:
        """The file that a setting comes from; jobs that choose the same files have it from the same."""
        key = (path, *chosen)
        if key not in self._origins:
            line = [*chosen, *self.searchpath]
            self._origins[key] = origin(path, cfg, self.config_name, line, self.groups.loader)
        return self._origins[key]

    def _compose(self, chosen: list[str], values: list[Override]) -> DictConfig:
        """What the chosen files hold; its parts are this job's own where values are to be set, and shared elsewhere."""
        key = tuple(chosen)
        if key not in self._composed:
            line = [*chosen, *self.searchpath]
            self._composed[key] = self.hydra.compose_config(self.config_name, line, RunMode.RUN)
        composed = self._composed[key]
        touched = {value.key_or_group.partition(".")[0] for value in values}
        cfg = OmegaConf.create({}, flags={"no_deepcopy_set_nodes": True})
        for name in composed:
            node = composed._get_node(name)
            cfg[name] = copy.deepcopy(node) if name in touched else node
        return cfg


def _line(override: Override) -> str:
    return str(override.input_line)


def _covers(override: Override, path: str) -> bool:
    return f"{path}.".startswith(f"{override.key_or_group}.")


def _reason(error: Exception) -> str:
    """What Hydra or YAML says, in one line."""
    return " ".join((str(error) or str(error.__cause__)).split()).partition(" Config search path:")[0]
