"""Sweeps as Hydra's plug-ins: a folder for each job, only what is missing is run, and one table at the end."""

from __future__ import annotations

import itertools
import logging
import math
import sys
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from rococap.checks.overrides import axes, values
from rococap.cli import FAILED_JOBS, user_errors, with_progress
from rococap.runs.changes import Ingredients, complete, outdated, resolve
from rococap.runs.claims import chosen_folder
from rococap.runs.folder import RunFolder
from rococap.runs.interruption import continue_command, going_on, listen
from rococap.runs.locks import hold_sweep, is_held
from rococap.sweeps.jobs import Job, Jobs
from rococap.sweeps.summary import show_summary

log = logging.getLogger(__name__)


class JobSweeper(Sweeper):
    """What sweeps have in common. `params`: what is swept; overrides of the command line go before it."""

    config: DictConfig
    hydra_context: HydraContext

    def __init__(self, params: Mapping[str, Any] | None) -> None:
        self.params = params or {}
        self.launched = 0

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Claim the sweep's folder; the launcher is told of it."""
        with user_errors():
            self.path = chosen_folder(config, "sweep")
            hold_sweep(self.path)
        self.config, self.hydra_context = config, hydra_context
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.jobs, self.now = Jobs(self.path, config.hydra), Ingredients(config.hydra)

    def sweep(self, arguments: list[str]) -> None:
        """Run what is missing. Ends the process: with 1 where a job did not finish, with 128 more than a signal."""
        listen()
        with user_errors(), going_on(self.config.hydra):
            print(f"sweep folder: {self.path}; to go on after an interruption: {continue_command(self.config.hydra)}")
            params = [f"{key}={value}" for key, value in self.params.items()]
            if not self.run(axes(self.jobs.parsed(params), self.jobs.parsed(arguments))):
                sys.exit(FAILED_JOBS)

    @abstractmethod
    def run(self, overrides: list[Override]) -> bool:
        """Run a sweep over overrides, some of which have several values; gives whether every job finished."""

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Those of the jobs that are not finished, each once.

        Raises:
            UserError: what some were made of has changed, and on_change says to stop.
        """
        jobs = list({job.folder.path: job for job in jobs}.values())
        found = [each for job in jobs if (each := outdated(job.folder, job.recipe, self.now)) is not None]
        resolve(found, self.config.on_change)
        return [job for job in jobs if not (job.folder.begun and complete(job.folder, job.recipe))]

    def launch(self, jobs: Sequence[Job]) -> None:
        """Run jobs. Each keeps in its folder how it ended.

        Where a launcher gives up, as joblib's does when the process of one job dies, it is given again what did not
        begin, as long as that gets further; then what ended with it, one by one: who was to blame can't be told.
        """
        if not jobs:
            return
        before = {job.folder: _noted(job.folder) for job in jobs}
        try:
            self.launcher.launch([job.command() for job in jobs], initial_job_idx=self.launched)
            return
        except Exception as error:
            said, traceback = str(error).partition("\n")[0], log.isEnabledFor(logging.DEBUG)
            log.error("the launcher gave up: %s: %s", type(error).__name__, said, exc_info=traceback)
        finally:
            self.launched += len(jobs)
        begun = {folder for folder, when in before.items() if _noted(folder) != when}
        while any(is_held(folder.path) for folder in begun):
            time.sleep(0.1)
        cut_off = [job for job in jobs if job.folder in begun and job.folder.state["state"] == "running"]
        if begun:
            self.launch([job for job in jobs if job.folder not in begun])
        for job in cut_off if len(jobs) > 1 else ():
            self.launch([job])


def _noted(folder: RunFolder) -> int | None:
    """When a run last wrote down how it stands."""
    file = folder.path / "run.json"
    return file.stat().st_mtime_ns if file.is_file() else None


class Grid(JobSweeper):
    """Every combination of the values, in place of Hydra's basic sweeper."""

    def run(self, overrides: list[Override]) -> bool:
        """Run what is missing of the grid."""
        swept = {override.get_key_element() for override in overrides if override.is_sweep_override()}
        axes_values = [values(override) for override in overrides]
        each = with_progress(
            itertools.product(*axes_values), math.prod(map(len, axes_values)), "jobs", "Composing jobs", lambda job: 1
        )
        jobs = [self.jobs.job(job, swept) for job in each]
        missing = self.missing(jobs)
        print(f"{len(jobs)} jobs, {len(jobs) - len(missing)} of them finished before")
        try:
            self.launch(missing)
        finally:
            finished = show_summary(jobs)
        return finished
