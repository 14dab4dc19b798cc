"""The overrides of a command line, one by one: Hydra stops at the first that is wrong, and suggests nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from rococap.checks.config import Problem
from rococap.checks.launchers import launcher_fault
from rococap.checks.signatures import signature
from rococap.checks.source import NoSuchName, did_you_mean


class Groups:
    """The config groups that a command can choose from; `searchpath` is its own `hydra.searchpath=...`, if any."""

    def __init__(self, loader: ConfigLoader, config_name: str, searchpath: list[str]) -> None:
        self.loader, self._config_name, self._searchpath = loader, config_name, searchpath
        self._listed: dict[tuple[str, ObjectType], list[str]] = {}

    def __contains__(self, group: str) -> bool:
        parent, _, name = group.rpartition("/")
        return name in self._list(parent, ObjectType.GROUP)

    def top(self) -> list[str]:
        """The names of all but Hydra's own."""
        return [name for name in self._list("", ObjectType.GROUP) if name != "hydra"]

    def choices(self, group: str) -> list[str]:
        """The files of a group."""
        return self._list(group, ObjectType.CONFIG)

    def _list(self, group: str, kind: ObjectType) -> list[str]:
        if (group, kind) not in self._listed:
            listed = self.loader.get_group_options(group, kind, self._config_name, self._searchpath)
            self._listed[group, kind] = listed
        return self._listed[group, kind]


def parse(line: list[str], loader: ConfigLoader) -> tuple[list[Override], list[Problem]]:
    """The overrides that can be read, and a problem for each that can't."""
    parser = OverridesParser.create(loader)
    overrides, problems = [], []
    for word in line:
        try:
            overrides += parser.parse_overrides([word])
        except HydraException as error:
            problems.append(Problem(word, _syntax_fault(word, str(error))))
    return overrides, problems


def _syntax_fault(word: str, message: str) -> str:
    key, equals, _ = word.partition("=")
    if not equals:
        return "must be of the form key=value"
    reason = message.removeprefix(f"Error parsing override '{word}'\n").partition("\n")[0].partition(" expecting ")[0]
    return f"can't be read ({reason}); text with odd characters goes in two pairs of quotes: '{key}=\"...\"'"


def axes(params: Iterable[Override], line: Iterable[Override]) -> list[Override]:
    """One override for each key: what a command line says goes before a sweeper's own params."""
    return list({override.get_key_element(): override for override in [*params, *line]}.values())


def values(override: Override, ends_only: bool = False) -> list[str]:
    """A word for each value that an override gives. Of an interval its ends, and of a range too with `ends_only`."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if isinstance(interval := override.value(), IntervalSweep):
        given = [str(interval.start), str(interval.end)]
    else:
        given = list(override.sweep_string_iterator())
        if ends_only and override.is_range_sweep():  # which may be shuffled
            given = [min(given, key=float), max(given, key=float)]
    return [f"{override.get_key_element()}={value}" for value in dict.fromkeys(given)]


def sweep_fault(override: Override, searches: bool) -> str | None:
    """Why what is swept has no values, or none that a grid can list or a search can draw, if so."""
    match override.value():
        case IntervalSweep() if not searches:
            return "only a search takes an interval: add hydra/sweeper=optuna, or list the values"
        case IntervalSweep(start=float() | int() as low, end=float() | int() as high, tags=tags):
            if not -math.inf < low <= high < math.inf:
                return f"must be between two numbers, the lower first, not {low} and {high}"
            if "log" in tags and low <= 0:
                return f"must begin at more than 0 to be searched by its logarithm, not at {low}"
            return None
        case RangeSweep(start=start, stop=stop, step=step):
            if step == 0 or not all(isinstance(n, float | int) and math.isfinite(n) for n in (start, stop, step)):
                return "must be between two numbers, with a step that is not 0"
    return "has no value" if override.is_sweep_override() and not values(override) else None


def is_choice(override: Override, groups: Groups) -> bool:
    """Whether it chooses files of a config group, rather than setting a value."""
    if override.package is not None:
        return True
    return override.key_or_group in groups and not isinstance(override.value(), dict)


def choice_faults(override: Override, groups: Groups) -> Iterator[str]:
    """What is wrong with the choices of a group override."""
    value, group = override.value(), override.key_or_group
    if override.is_delete():
        return
    for choice in value if isinstance(value, list) else [value]:
        folder, _, name = f"{group}/{choice}".rpartition("/")
        if group == "hydra/launcher" and (fault := launcher_fault(str(choice))):
            yield fault
        elif choice is not None and name not in groups.choices(folder):
            available = groups.choices(group)
            nearest = did_you_mean(str(choice), available)
            yield f"no choice {str(choice)!r}{nearest or ';'} available: {', '.join(available) or 'none'}"


def apply(cfg: DictConfig, override: Override, groups: Groups) -> str | None:
    """Set, add or delete one value, as Hydra does it; what is wrong, if it can't be done."""
    key, value = override.key_or_group, override.value()
    adds = override.is_add() or override.is_force_add()
    there = _is_there(cfg, key)
    if not there and not adds:
        return _unknown(cfg, override, groups)
    if there and override.is_add() and not isinstance(value, dict | list) and OmegaConf.select(cfg, key) is not None:
        return f"is set already: write {key}=..., without +"
    try:
        if override.is_delete():
            parent, _, name = key.rpartition(".")
            with open_dict(cfg):
                del (OmegaConf.select(cfg, parent) if parent else cfg)[name]
        else:
            OmegaConf.update(cfg, key, value, merge=True, force_add=adds)
    except OmegaConfBaseException as error:
        return str(error).partition("\n")[0]
    return None


def _is_there(cfg: DictConfig, key: str) -> bool:
    parent, _, name = key.rpartition(".")
    try:
        node = OmegaConf.select(cfg, parent) if parent else cfg
    except OmegaConfBaseException:
        return False
    if isinstance(node, ListConfig):
        return name.isdigit() and int(name) < len(node)
    return isinstance(node, DictConfig) and name in set(node)  # `name in node` says no to ???


def _unknown(cfg: DictConfig, override: Override, groups: Groups) -> str:
    key = override.key_or_group
    known = dict.fromkeys(groups.top(), False) | dict(_settings(cfg, ""))
    if known.get(key):
        return f"the recipe does not list it yet: write +{override.input_line}"
    choice = cfg.hydra.runtime.choices.get(group := key.partition(".")[0])
    within = f" with {group}={choice}" if choice else ""
    candidates = [path for path in known if not key.startswith(f"{path}.")]
    names = {path.rpartition(".")[2]: path for path in reversed(candidates)}
    same_name = [path for path in candidates if path.rpartition(".")[2] == key]
    similar = get_close_matches(key, candidates, n=1) or [names[n] for n in get_close_matches(key, list(names), n=1)]
    nearest = [f"+{path}" if known[path] else path for path in same_name or similar]
    return f"no such setting{within}" + (f"; did you mean {' or '.join(nearest)}?" if nearest else "")


def _settings(node: Any, path: str) -> Iterator[tuple[str, bool]]:
    """All paths of a config; True for those that a `_target_` takes and the config does not list."""
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
        return
    target = OmegaConf.select(node, "_target_")
    try:
        parameters = signature(target).parameters if isinstance(target, str) else {}
    except NoSuchName:
        parameters = {}
    names = {str(key) for key in node if not str(key).startswith("_")} - ({"hydra"} if not path else set())
    prefix = f"{path}." if path else ""
    for name in sorted(names):
        yield f"{prefix}{name}", False
        yield from _settings(node._get_node(name), f"{prefix}{name}")
    # What is required and not listed is given by the code that calls a `_partial_` target.
    takes = [name for name, parameter in parameters.items() if not parameter.required and name not in names]
    yield from ((f"{prefix}{name}", True) for name in takes)
