"""Runs the jobs of a sweep on a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

log = logging.getLogger(__name__)


class RayLauncher(Launcher):
    """Each job in a process of its own, wherever the cluster has room; it has Ray's GPUs and no others.

    Args:
        address: of a running cluster; None starts one on this machine, and ends it.
        cpus: that each job takes, of those that the cluster has.
        gpus: likewise.
    """

    def __init__(self, address: str | None, cpus: float, gpus: float) -> None:
        self.address, self.cpus, self.gpus = address, cpus, gpus

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what a job is made of."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run all jobs; gives what those that came to an end returned."""
        import ray

        ray.init(address=self.address, log_to_driver=True, include_dashboard=False, logging_level=logging.WARNING)
        try:
            # A process runs one job: its locks, its threads and its GPU's memory end with it.
            run = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_calls=1)(_run)
            place = (os.getcwd(), Singleton.get_state(), self.context, self.config, self.task)
            jobs = [
                run.remote(*place, list(overrides), number)
                for number, overrides in enumerate(job_overrides, start=initial_job_idx)
            ]
            return [each for job in jobs if (each := _result(job)) is not None]
        finally:
            ray.shutdown()


def _result(job: Any) -> JobReturn | None:
    import ray

    try:
        returned: JobReturn = ray.get(job)
    except ray.exceptions.RayError as error:  # its machine or its process went away; the others run on
        log.error("%s", error)
        return None
    return returned


def _run(
    directory: str,
    singletons: dict[Any, Any],
    context: HydraContext,
    config: DictConfig,
    task: TaskFunction,
    overrides: list[str],
    number: int,
) -> JobReturn:
    """One job, in a process of the cluster."""
    os.chdir(directory)
    setup_globals()
    Singleton.set_state(singletons)
    job = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id, job.hydra.job.num = f"{job.hydra.job.name}_{number}", number
    HydraConfig.instance().set_config(job)
    return run_job(
        hydra_context=context,
        config=job,
        task_function=task,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
