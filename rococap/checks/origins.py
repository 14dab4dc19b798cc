"""Which file a setting comes from, for messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf


def origin(path: str, cfg: DictConfig, config_name: str, choices: list[str], loader: ConfigLoader) -> str | None:
    """The last file that sets a path or, where none does, the one that says what is built there.

    `cfg` has its `hydra` node; `choices` are the command line's overrides of groups.
    """
    folders = [Path(source.path) for source in cfg.hydra.runtime.config_sources if source.schema == "file"]
    defaults = loader.compute_defaults_list(config_name, choices, RunMode.RUN).defaults
    for wanted in (path, f"{path.rpartition('.')[0]}._target_"):
        for default in reversed(defaults):
            file = _file(default.config_path, folders)
            inside = _inside(wanted, default.package)
            if file is not None and inside and _sets(OmegaConf.to_container(OmegaConf.load(file)), inside):
                return os.path.relpath(file)
    return None


def _file(config_path: str | None, folders: list[Path]) -> Path | None:
    return next((file for folder in folders if (file := folder / f"{config_path}.yaml").is_file()), None)


def _inside(path: str, package: str | None) -> list[str]:
    """The path as a file writes it that lands in a package; empty if it lies elsewhere."""
    if not package:
        return path.split(".")
    return path.removeprefix(f"{package}.").split(".") if path.startswith(f"{package}.") else []


def _sets(content: Any, keys: list[str]) -> bool:
    for key in keys:
        if isinstance(content, list) and key.isdigit() and int(key) < len(content):
            content = content[int(key)]
        elif isinstance(content, dict) and key in content:
            content = content[key]
        else:
            return False
    return True
