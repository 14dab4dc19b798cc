"""`config.yaml` of a run's folder: plain values, read and written as they stand.

`${...}` is text there, whoever wrote it: a path may hold it, and what someone else put there must not be looked up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper, get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from rococap.types import UserError

_REFERENCE = re.compile(r"(\\*)\$\{")


def recipe_text(recipe: DictConfig) -> str:
    """A recipe as YAML, resolved."""
    plain = OmegaConf.to_container(recipe, resolve=True)
    text: str = yaml.dump(
        plain, Dumper=get_omega_conf_dumper(), default_flow_style=False, allow_unicode=True, sort_keys=False
    )
    return text


def read_recipe_file(file: Path) -> DictConfig:
    """The settings in a file; nothing that stands in them is resolved. Raises UserError where it holds no recipe."""
    try:
        text = file.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise UserError(f"{file} holds references within YAML (&, *), which no recipe has: it is not a run's own.")
        plain = yaml.load(text, Loader=get_yaml_loader())
        content = literal(plain) if isinstance(plain, dict) else None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error}).") from error
    except (yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise UserError(f"{file} is no recipe ({' '.join(str(error).split())[:200]}).") from error
    if not content:
        raise UserError(f"{file} holds no recipe: it is empty, or was cut off.")
    return content


def literal(plain: dict[str, Any]) -> DictConfig:
    """Plain values as a config of which each text is what it says, `${...}` included."""
    escaped: dict[str, Any] = _escaped(plain)
    return OmegaConf.create(escaped)


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    # OmegaConf halves the backslashes before a reference, and takes one with a single backslash for text.
    return _REFERENCE.sub(r"\1\1\\${", value) if isinstance(value, str) else value
