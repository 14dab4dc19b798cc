"""submitit's launchers, which see every job to its end: those of Hydra's plug-in leave at the first that died."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import count, repeat
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher import submitit_launcher as plugin
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

log = logging.getLogger(__name__)

_LIMIT = "slurm_max_num_timeout"  # submitit takes it earlier than the others


class _Launcher(plugin.BaseSubmititLauncher):  # type: ignore[misc]
    """What a job does, and how it is queued again, is the plug-in's."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run all jobs; gives what those that came to an end returned."""
        import submitit

        common, cluster = BaseQueueConf.__dataclass_fields__, self._EXECUTOR
        params = {key if key in common else f"{cluster}_{key}": value for key, value in self.params.items()}
        early = {"folder": params.pop("submitit_folder")} | ({_LIMIT: params.pop(_LIMIT)} if _LIMIT in params else {})
        executor = submitit.AutoExecutor(cluster=cluster, **early)
        executor.update_parameters(**params)
        overrides, numbers = [list(each) for each in job_overrides], count(initial_job_idx)
        rest = repeat("hydra.sweep.dir"), numbers, map(str, count(initial_job_idx)), repeat(Singleton.get_state())
        jobs = executor.map_array(self, overrides, *rest)
        return [each for job in jobs if (each := _result(job)) is not None]


class LocalLauncher(_Launcher, plugin.LocalLauncher):  # type: ignore[misc]
    """`hydra/launcher=submitit_local`."""


class SlurmLauncher(_Launcher, plugin.SlurmLauncher):  # type: ignore[misc]
    """`hydra/launcher=slurm`."""


def _result(job: Any) -> JobReturn | None:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        returned: JobReturn = job.results()[0]
    except (FailedJobError, UncompletedJobError) as error:  # its process was killed or cancelled; the others run on
        log.error("%s", error)
        return None
    return returned
