"""A search: trials that Optuna suggests, kept in the sweep's folder, each of them a run in a folder of its own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override

from rococap.runs.locks import next_aside
from rococap.runs.monitor import monitored, sign
from rococap.sweeps.best import write_best
from rococap.sweeps.jobs import Job
from rococap.sweeps.space import distribution
from rococap.sweeps.summary import show_summary
from rococap.sweeps.sweeper import JobSweeper
from rococap.types import UserError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

_JOURNAL = "search.log"


class Search(JobSweeper):
    """Optuna's TPE over a space of choices, ranges and intervals.

    Args:
        params: the space, beside the overrides of the command line.
        n_trials: that end well before the search ends; a second start runs only those that are missing.
        n_jobs: trials at a time, for launchers that run several.
        max_failure_rate: of n_trials, from 0 to 1; where more fail in one start, the search stops.
        seed: of the suggestions.
    """

    def __init__(
        self, params: Mapping[str, Any] | None, n_trials: int, n_jobs: int, max_failure_rate: float, seed: int
    ) -> None:
        super().__init__(params)
        self.n_trials, self.n_jobs, self.max_failure_rate, self.seed = n_trials, n_jobs, max_failure_rate, seed

    def run(self, overrides: list[Override]) -> bool:
        """Run the missing trials, and write the best one as an experiment."""
        self.space = {o.get_key_element(): distribution(o) for o in overrides if o.is_sweep_override()}
        self.fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
        if not self.space:
            raise UserError("There is nothing to search: give a space, as in 'optimizer.lr=interval(1e-4,1e-2)'.")
        self.monitor = monitored(self.config.monitor, self.config.metrics)
        study, again = self._study()
        done = [self._job(params) for params in _params(study, "COMPLETE")]
        print(f"{self.n_trials} trials, {len(done)} of them finished before")
        jobs = list(done)
        try:
            for batch in self._batches(study, again, self.n_trials - len(done)):
                tried = {job.folder for job in jobs}  # what failed just now would fail again
                self.launch([job for job in self.missing(list(batch.values())) if job.folder not in tried])
                jobs += batch.values()
                self._tell(study, batch)
                write_best(self.path, jobs, self.jobs)
                self._stop_if_hopeless(jobs)
        finally:
            finished = show_summary(jobs)
        return finished

    def _study(self) -> tuple[Study, list[dict[str, Any]]]:
        """The study in the sweep's folder, and the parameters to try again before new ones are suggested.

        Where a finished trial's run is not there any more, such as one that on_change=rerun set aside, the study is
        set aside too, and all its parameters are tried again: those whose runs are there cost nothing.
        """
        study = open_study(self.path / _JOURNAL, self.space, self.monitor, self.seed, beside=self.n_jobs > 1)
        complete = _params(study, "COMPLETE")
        if self.missing([self._job(params) for params in complete]):
            (self.path / _JOURNAL).rename(next_aside(self.path / _JOURNAL))
            return open_study(
                self.path / _JOURNAL, self.space, self.monitor, self.seed, beside=self.n_jobs > 1
            ), complete
        failed = {json.dumps(params): params for params in _params(study, "FAIL") if params not in complete}
        return study, list(failed.values())

    def _batches(self, study: Study, again: list[dict[str, Any]], number: int) -> Iterator[dict[int, Job]]:
        """Jobs by their trials' numbers: first those that an interruption left open, then `again`, then new ones."""
        running = [trial for trial in study.trials if trial.state.name == "RUNNING"]
        opened = [(trial.number, trial.params) for trial in running if trial.params.keys() == self.space.keys()]
        while number > 0:
            batch = {}
            for _ in range(min(self.n_jobs, number)):
                if opened:
                    trial, params = opened.pop(0)
                else:
                    if again:
                        study.enqueue_trial(again.pop(0))
                    asked = study.ask(self.space)
                    trial, params = asked.number, asked.params
                batch[trial] = self._job(params)
            number -= len(batch)
            yield batch

    def _job(self, params: Mapping[str, Any]) -> Job:
        """The overrides of a trial: four digits of a number are enough, and name a folder that can be read."""
        said = [f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()]
        return self.jobs.job([*self.fixed, *said], self.space)

    def _tell(self, study: Study, batch: Mapping[int, Job]) -> None:
        from optuna.trial import TrialState

        for trial, job in batch.items():
            if job.folder.done:
                study.tell(trial, job.folder.best_score)
            else:
                study.tell(trial, state=TrialState.FAIL)

    def _stop_if_hopeless(self, jobs: Sequence[Job]) -> None:
        failed = [job for job in jobs if not job.folder.done]
        if len(failed) > self.max_failure_rate * self.n_trials:
            raise UserError(
                f"{len(failed)} of {len(jobs)} trials failed, more than hydra.sweeper.max_failure_rate="
                f"{self.max_failure_rate} of {self.n_trials} allows. See {failed[-1].folder.path}/train.log."
            )


def open_study(journal: Path, space: Mapping[str, BaseDistribution], monitor: str, seed: int, *, beside: bool) -> Study:
    """The study that a journal holds, or a new one; raises UserError where it is of another space.

    Args:
        beside: whether trials run side by side: then one that goes on counts as a bad one, or the others would be
            suggested right beside it.
    """
    import optuna
    from optuna.distributions import distribution_to_json
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = {"monitor": monitor, **{key: json.loads(distribution_to_json(space[key])) for key in sorted(space)}}
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name="search",
        direction="maximize" if sign(monitor) > 0 else "minimize",
        load_if_exists=True,
    )
    if "asked" not in study.user_attrs:
        study.set_user_attr("asked", asked)
    elif study.user_attrs["asked"] != asked:
        raise UserError(f"{journal.parent} holds a search of another space or monitor: take another name.")
    # With the same seed, a search that goes on would suggest its first trials again.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), constant_liar=beside)
    return study


def _params(study: Study, state: str) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials if trial.state.name == state]
