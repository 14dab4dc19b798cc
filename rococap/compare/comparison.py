"""What came out of many runs, beside each other: scores over seeds, their certainty, and what cannot be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rococap.compare.gather import SPLIT, Sample, gather, listed
from rococap.compare.runs import SEED, Run, Setting, axes, find_runs, settings
from rococap.compare.significance import LEVEL, p_values
from rococap.metrics.bootstrap import interval
from rococap.runs.folder import stopped_text
from rococap.types import UserError

Mark = Literal["best", "tie", ""]
_SURROUNDINGS = {"code": "the code", "data": "the data", "device": "the device"}


@dataclass(frozen=True)
class Score:
    """A setting's score in one metric: the mean of its runs."""

    value: float
    deviation: float | None  # over runs; None for a single one
    ci_low: float  # 95 % over images, of the mean
    ci_high: float
    mark: Mark  # best, not significantly less than the best, or less
    p: float  # of the difference to the best
    samples: Mapping[str, Sample]  # of its runs, by label


@dataclass(frozen=True)
class Comparison:
    """Settings with their scores, the best in the first metric first, and runs that have none."""

    axes: Sequence[str]
    metrics: Sequence[str]  # the one that chose the checkpoints first
    settings: Sequence[Setting]
    scores: Sequence[dict[str, Score]]  # of each setting
    left_out: Sequence[tuple[Run, str]]  # with the reason
    notes: Sequence[str]  # what a reader should know of the runs


def compare(places: Sequence[Path], *, trusted: bool = False) -> Comparison:
    """Compare all runs in some folders by their test scores.

    Args:
        trusted: see `RunFolder`.

    Raises:
        UserError: there are not two runs to compare, or their scores were not made in the same way, or one names what
            only a trusted folder may.
    """
    runs = find_runs(places, trusted=trusted)
    samples, left_out = gather(runs)
    fit = [run for run in runs if run.label not in left_out]
    if len(fit) < 2:
        found = "".join(f"\n  {label}: {reason}" for label, reason in left_out.items())
        raise UserError(f"Two runs with test scores are needed to compare, and there is {len(fit) or 'none'}.{found}")
    swept, names = axes(runs), _names(fit, samples)
    groups = settings(fit, swept)
    scores = _scores(groups, names, samples)
    order = sorted(range(len(groups)), key=lambda i: -scores[i][names[0]].value if names[0] in scores[i] else np.inf)
    return Comparison(
        swept,
        names,
        [groups[i] for i in order],
        [scores[i] for i in order],
        [(run, left_out[run.label]) for run in runs if run.label in left_out],
        [*_stopped(fit), *_out_of_bounds(fit), *_differing_surroundings(fit), *_repeated(groups)],
    )


def _names(runs: Sequence[Run], samples: Iterable[str]) -> list[str]:
    """The metrics, that which chose most runs' checkpoints first; CIDEr where it is none of them."""
    names = list(samples)
    chose = Counter(str(run.facts.get("monitor", "")).removeprefix("val/") for run in runs)
    first = next((name for name, _ in chose.most_common() if name in names), "cider")
    return sorted(names, key=lambda name: name != first)


def _scores(
    groups: Sequence[Setting], names: Sequence[str], samples: Mapping[str, Mapping[str, Sample]]
) -> list[dict[str, Score]]:
    scores: list[dict[str, Score]] = [{} for _ in groups]
    for name in names:
        of_metric = samples[name]
        each = [{run.label: of_metric[run.label] for run in group.runs if run.label in of_metric} for group in groups]
        having = [index for index, found in enumerate(each) if found]
        values = [np.array([sample.value for sample in each[index].values()]) for index in having]
        draws = [np.stack([sample.draws for sample in each[index].values()], axis=1) for index in having]
        most = max(runs.mean() for runs in values)
        for index, runs, drawn, p in zip(having, values, draws, p_values(values, draws), strict=True):
            mark: Mark = "best" if runs.mean() == most else "tie" if p >= LEVEL else ""
            low, high = map(float, interval(drawn.mean(axis=1)))
            deviation = float(runs.std(ddof=1)) if runs.size > 1 else None
            scores[index][name] = Score(float(runs.mean()), deviation, low, high, mark, float(p), each[index])
    return scores


def _stopped(runs: Sequence[Run]) -> Iterator[str]:
    """A line for each run that has not trained all the epochs of its recipe."""
    yield from (f"{run.label}: {stopped_text(run.facts)}" for run in runs if run.facts.get("stopped_by"))


def _out_of_bounds(runs: Sequence[Run]) -> Iterator[str]:
    """A line for each guard that warns, with one of the warnings."""
    guards = {run.label: run.guards(SPLIT) for run in runs}
    for name in dict.fromkeys(name for found in guards.values() for name in found):
        warned = [label for label, found in guards.items() if name in found and found[name]["warning"]]
        if warned:
            yield f"{name} is out of bounds in {listed(warned)}: {guards[warned[0]][name]['warning']}"


def _differing_surroundings(runs: Sequence[Run]) -> Iterator[str]:
    """What may tell runs apart beside their recipes: a line for each fact of environment.json that differs."""
    for fact, meaning in _SURROUNDINGS.items():
        found: dict[str, list[str]] = {}
        for run in runs:
            found.setdefault(f"{run.environment.get(fact, 'unknown'):.24}", []).append(run.label)
        if len(found) > 1:
            yield f"{meaning} differs: " + "; ".join(f"{value} ({listed(labels)})" for value, labels in found.items())


def _repeated(groups: Sequence[Setting]) -> Iterator[str]:
    """Runs that have even the seed in common: their deviation says nothing of seeds."""
    for group in groups:
        found: dict[str, list[str]] = {}
        for run in group.runs:
            found.setdefault(str(run.recipe.get(SEED)), []).append(run.label)
        yield from (
            f"the same recipe and seed: {listed(labels)}; each counts as a run"
            for labels in found.values()
            if labels[1:]
        )
