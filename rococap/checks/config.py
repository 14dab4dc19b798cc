"""Holds a composed config against the typed root and the signature of every `_target_`, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rococap.checks.annotations import described, fits, forms
from rococap.checks.answers import unanswered
from rococap.checks.pairs import mismatched
from rococap.checks.ranges import out_of_range
from rococap.checks.signatures import Parameter, Signature, of_class, signature
from rococap.checks.source import NoSuchName, did_you_mean
from rococap.checks.trainer import checkpoint_faults, trainer_faults

_SPECIAL = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}  # Hydra's own keys of a node
# Settings of a node that are no arguments of its target: the recipe does with it what they say.
OF_RECIPE = {"model": ("concepts",)}
_BUILT = ("model", "lora", "optimizer", "scheduler", "precision", "augment", "trainer")  # one object each
LISTED = ("metrics", "callbacks", "logger")  # any number of objects, by name
_HINTS = {"data.source": "choose a dataset, such as data=rocov2; data=base is what all of them share"}


class Problem(NamedTuple):
    """A setting by its path, such as `trainer.max_epoch`, and what is wrong with it."""

    path: str
    fault: str

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}"


class _Unresolved:
    """Stands for a value that only the running job knows, such as `${hydra:runtime.output_dir}`."""


_MISSING = "???"
_UNRESOLVED = _Unresolved()


def problems(cfg: DictConfig) -> list[Problem]:
    """All that is wrong in a composed config: names, types, ranges, missing values and interpolations.

    Hydra's own node, where the config has it, is left to Hydra.
    """
    found: list[Problem] = []
    config = _plain(cfg, "", found)
    found += _arguments("", config, signature("rococap.config.RunConfig"), "", partial=False)
    found += _untargeted(config)
    found += _targets(config, "")
    for faults in (out_of_range, mismatched, unanswered, trainer_faults, checkpoint_faults):
        found += [Problem(path, fault) for path, fault in faults(config)]
    return list(dict.fromkeys(found))


def _plain(node: Any, path: str, found: list[Problem]) -> Any:
    """Resolved plain values; ??? stays."""
    if not isinstance(node, DictConfig | ListConfig):
        return node
    if node._is_missing() or node._is_none():
        return _MISSING if node._is_missing() else None
    if path:
        try:
            return OmegaConf.to_container(node, resolve=True)
        except OmegaConfBaseException:
            pass  # said of the setting below that it comes from
    keys: Iterable[Any] = node.keys() if isinstance(node, DictConfig) else range(len(node))
    values = {}
    for key in keys:
        if key == "hydra" and not path:
            continue
        where = _join(path, key)
        try:
            values[key] = _MISSING if OmegaConf.is_missing(node, key) else _plain(node[key], where, found)
        except OmegaConfBaseException as error:
            values[key] = _UNRESOLVED
            if "${hydra:" not in str(node._get_node(key)):
                found.append(Problem(where, str(error).partition("\n")[0]))
    return values if isinstance(node, DictConfig) else list(values.values())


def _targets(node: Any, path: str) -> Iterator[Problem]:
    """Every `_target_` below a node, itself included, against its callable."""
    if isinstance(node, dict):
        if isinstance(target := node.get("_target_"), str):
            yield from _target(path, node, target)
        for key, value in node.items():
            yield from _targets(value, _join(path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _targets(value, _join(path, index))


def _target(path: str, node: dict[str, Any], target: str) -> Iterator[Problem]:
    try:
        expected = signature(target)
    except NoSuchName as error:
        yield Problem(_join(path, "_target_"), f"{target}: {error}")
        return
    values = {key: value for key, value in node.items() if key not in {*_SPECIAL, *OF_RECIPE.get(path, ())}}
    for name in list(expected.parameters)[: len(node.get("_args_", ()))]:
        values[name] = _UNRESOLVED
    yield from _arguments(path, values, expected, f" of {target}", partial=node.get("_partial_") is True)


def _arguments(
    path: str, values: dict[str, Any], expected: Signature, owner: str, *, partial: bool
) -> Iterator[Problem]:
    """Unknown, missing and misfitting values of a call. `partial`: the code that calls it may give what is missing."""
    for name, value in values.items():
        if name in expected.parameters:
            yield from _value(_join(path, name), value, expected.parameters[name])
        elif not expected.open:
            yield Problem(_join(path, name), f"no such setting{owner}{did_you_mean(name, expected.parameters)}")
    for name, parameter in expected.parameters.items():
        if parameter.required and name not in values and not partial:
            yield Problem(_join(path, name), f"is missing{owner and f'; needed by{owner[3:]}'}")


def _value(path: str, value: Any, parameter: Parameter) -> Iterator[Problem]:
    annotation, module = parameter.annotation, parameter.module
    if value == _MISSING:
        yield Problem(path, f"is not set{f': {hint}' if (hint := _HINTS.get(path)) else ''}")
    elif value is _UNRESOLVED or (value is None and parameter.nullable) or _is_text_of_root(path, value):
        return
    elif not fits(value, annotation, module):
        yield Problem(path, f"must be {described(annotation, module) or 'something else'}, not {_shown(value)}")
    elif isinstance(value, dict) and "_target_" not in value:
        for form in forms(annotation, module):
            if form.dataclass is not None:
                yield from _arguments(path, value, of_class(form.dataclass), "", partial=False)


def _untargeted(config: dict[str, Any]) -> Iterator[Problem]:
    """Groups that give an object must say which."""
    nodes = [(name, config.get(name)) for name in _BUILT]
    if isinstance(data := config.get("data"), dict):
        nodes.append(("data.source", data.get("source")))
    for group in LISTED:
        listed = config.get(group)
        nodes += [(f"{group}.{name}", node) for name, node in listed.items()] if isinstance(listed, dict) else []
    for path, node in nodes:
        if isinstance(node, dict) and "_target_" not in node:
            yield Problem(path, "has no _target_: nothing says what to build from it")


def _is_text_of_root(path: str, value: Any) -> bool:
    """OmegaConf makes text of a bare number where the root asks for text: `name=2024`."""
    return path in {"name", "data.root"} and isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
