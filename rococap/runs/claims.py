"""Which folder a run or a sweep has, settled before a byte is written there."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Literal

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from rococap.cli import user_errors
from rococap.runs.changes import Ingredients, Outdated, differences, outdated, refusal, resolve
from rococap.runs.folder import RunFolder
from rococap.runs.locks import hold_run, is_helper, new_folder
from rococap.runs.terminal import show_run
from rococap.types import UserError


class ClaimFolder(Callback):
    """Hydra's callback that settles which folder a run has before Hydra writes a byte into it.

    A run without a name gets a new folder. With one, a finished run shows its table and ends; one that was
    interrupted goes on; another recipe, or a run that is going on, is refused. A sweep settles its own.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        if is_helper():
            logging.disable(logging.INFO)  # the first process says and writes it all
            with open_dict(config):
                config.hydra.job_logging = {"root": None}
            return
        with user_errors():
            folder = RunFolder(chosen_folder(config, "run"))
            recipe = recipe_of(config)
            hold_run(folder.path)
            if (found := outdated(folder, recipe, Ingredients(config.hydra))) is not None:
                resolve([found], recipe.on_change)
            if folder.finished:
                show_run(folder)
                sys.exit()
            claim(folder.path, recipe)


def chosen_folder(config: DictConfig, kind: Literal["run", "sweep"]) -> Path:
    """The folder that a command names; where it names none a new one, which Hydra's config is told of."""
    node = config.hydra[kind]
    if "${now:" not in str(config._get_node("name")) or "${name}" not in str(node._get_node("dir")):
        return Path(node.dir)
    path = new_folder(Path(node.dir))
    with open_dict(config):
        node.dir = str(path)
    return path


def recipe_of(config: DictConfig) -> DictConfig:
    """A composed config without Hydra's own node."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def claim(path: Path, config: DictConfig) -> RunFolder:
    """Make the folder this process's own, for a new run or to go on with the one in it.

    What may differ when a run goes on, such as metrics, is then written into its config.yaml: from here on it is so.

    Raises:
        UserError: another process runs there, it holds another recipe or something else, or cannot be written.
    """
    folder = RunFolder(path)
    if is_helper():
        return folder
    hold_run(path)
    if folder.begun and (found := differences(folder, config)):
        raise UserError(refusal([Outdated(folder, found, [])]))
    if not folder.finished:
        folder.write_recipe(config)
    return folder
