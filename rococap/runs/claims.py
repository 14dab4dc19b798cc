"""Which folder a run or a sweep has, settled before a byte is written there."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Literal

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from rococap.cli import user_errors
from rococap.processes import gathering
from rococap.processes.group import met
from rococap.processes.identity import this_process
from rococap.runs.batches import batch_of_each
from rococap.runs.changes import Ingredients, Outdated, complete, differences, outdated, refusal, resolve
from rococap.runs.folder import RunFolder
from rococap.runs.locks import hold_run, new_folder
from rococap.runs.terminal import show_run
from rococap.types import UserError


class ClaimFolder(Callback):
    """Hydra's callback that settles which folder a run has before Hydra writes a byte into it.

    A run without a name gets a new folder. With one, a finished run shows its table and ends; one that was
    interrupted goes on; another recipe, or a run that is going on, is refused. A sweep settles its own.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        with user_errors():
            process = gathering.arrive(config)
            if process.helps:
                logging.disable(logging.INFO)  # the first process says and writes it all
                with open_dict(config):
                    config.hydra.job_logging, config.hydra.output_subdir = {"root": None}, None
                    config.hydra.run.dir = str(gathering.folder_of_helper())
                return
            with gathering.helpers_told(config) as tell:
                folder = RunFolder(chosen_folder(config, "run"))
                recipe = recipe_of(config)
                batch_of_each(recipe)  # how images are shared out is known to be possible
                hold_run(folder.path)
                if (found := outdated(folder, recipe, Ingredients(config.hydra))) is not None:
                    resolve([found], recipe.on_change)
                if folder.begun and complete(folder, recipe):
                    show_run(folder)
                    sys.exit()
                claim(folder.path, recipe)
                tell(folder.path)


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
    folder = RunFolder(path, trusted=True)  # what it is gone on with is this command's
    process = this_process()
    if process.count > 1 and met() is None:
        raise UserError(
            f"{process.starter} started {process.count} processes for one job of a sweep: each job has one."
        )
    if process.helps:
        return folder
    hold_run(path)
    if folder.begun and (found := differences(folder, config)):
        raise UserError(refusal([Outdated(folder, found, [])]))
    if not folder.begun or not complete(folder, config):
        folder.write_recipe(config)
        if folder.done:
            folder.note(state="interrupted", last_error=None, stopped_by=None)  # there is more to do now
    return folder
