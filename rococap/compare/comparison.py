"""What came out of many runs, beside each other: scores over seeds, their certainty, and what cannot be compared.

Which setting is best is chosen on valid, so that its test score is not the highest of many by luck; where test chooses,
that luck is estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rococap.compare.gather import SPLIT, Sample, gather, listed
from rococap.compare.runs import SEED, Run, Setting, axes, find_runs, settings
from rococap.compare.selection import chosen_score, monitor_of, rank
from rococap.compare.significance import LEVEL, differences, seed_variance
from rococap.metrics.base import FloatArray
from rococap.metrics.bootstrap import SEED as NOISE
from rococap.metrics.bootstrap import interval, steady
from rococap.runs.folder import stopped_text
from rococap.types import UserError

Mark = Literal["best", "tie", "better", ""]
Select = Literal["val", "test"]
_SURROUNDINGS = {"code": "the code", "data": "the data", "device": "the device"}


@dataclass(frozen=True)
class Score:
    """A setting's score in one metric: the mean of its runs.

    Attributes:
        deviation: over runs; None for a single one.
        ci_low, ci_high: 95 % over images, and over seeds where it has several runs, of the mean; None where it could
            not be believed, see `rococap.metrics.bootstrap`.
        mark: the best, not significantly different from it, significantly more (which a best that valid chose leaves
            open), or less.
        p: of the difference to the best.
        visible: the smallest difference to the best that four of five such comparisons would find; 0 for the best.
        corrected: of the best where test chose it, what is left of it without the luck of having been chosen.
        samples: of its runs, by label.
    """

    value: float
    deviation: float | None
    ci_low: float | None
    ci_high: float | None
    mark: Mark
    p: float
    visible: float
    corrected: float | None
    samples: Mapping[str, Sample]


@dataclass(frozen=True)
class Comparison:
    """Settings with their scores, the best first, and runs that have none.

    Attributes:
        chosen_by: what chose the best, such as val/cider; None: the test scores in each metric themselves.
        chosen: that value of each setting, the mean of its runs.
        once: every setting ran with one seed alone, so that another might turn every difference.
    """

    axes: Sequence[str]
    metrics: Sequence[str]  # the one that chose the checkpoints first
    settings: Sequence[Setting]
    scores: Sequence[dict[str, Score]]  # of each setting
    left_out: Sequence[tuple[Run, str]]  # with the reason
    notes: Sequence[str]  # what a reader should know of the runs
    chosen_by: str | None
    chosen: Sequence[float]
    once: bool


def compare(
    places: Sequence[Path], *, select: Select = "val", other_data: bool = False, trusted: bool = False
) -> Comparison:
    """Compare all runs in some folders by their test scores.

    Args:
        select: which split chooses the best setting; test also where a run has no validation score.
        other_data: compare runs that learnt from different data.
        trusted: see `RunFolder`.

    Raises:
        UserError: there are not two runs to compare, or their scores were not made in the same way, or they learnt from
            different data, or one names what only a trusted folder may.
    """
    runs = find_runs(places, trusted=trusted)
    samples, left_out = gather(runs)
    fit = [run for run in runs if run.label not in left_out]
    if len(fit) < 2:
        found = "".join(f"\n  {label}: {reason}" for label, reason in left_out.items())
        raise UserError(f"Two runs with test scores are needed to compare, and there is {len(fit) or 'none'}.{found}")
    if not other_data:
        _require_one_dataset(fit)
    swept, names = axes(runs), _names(fit, samples)
    groups = settings(fit, swept)
    monitor, unchosen = monitor_of(fit) if select == "val" else (None, "")
    groups = sorted(groups, key=lambda group: rank(group, monitor, samples[names[0]]))
    return Comparison(
        swept,
        names,
        groups,
        _scores(groups, names, samples, by_valid=monitor is not None),
        [(run, left_out[run.label]) for run in runs if run.label in left_out],
        [
            *([unchosen] if unchosen else []),
            *_stopped(fit),
            *_doubts(fit),
            *_out_of_bounds(fit),
            *_differing_surroundings(fit),
            *_repeated(groups),
        ],
        monitor,
        [chosen_score(group) for group in groups] if monitor else [],
        all(len(group.runs) == 1 for group in groups),
    )


def _require_one_dataset(runs: Sequence[Run]) -> None:
    learnt: dict[str, list[str]] = {}
    for run in runs:
        learnt.setdefault(str(run.environment.get("data", "")), []).append(run.label)
    learnt.pop("", None)  # an older folder, which does not say
    if len(learnt) > 1:
        found = "; ".join(f"{data:.12} ({listed(labels)})" for data, labels in learnt.items())
        raise UserError(
            f"These runs learnt from different data, by its fingerprints: {found}.\n"
            "Compare them apart, or all the same with --other-data."
        )


def _names(runs: Sequence[Run], samples: Iterable[str]) -> list[str]:
    """The metrics, that which chose most runs' checkpoints first; CIDEr where it is none of them."""
    names = list(samples)
    chose = Counter(str(run.facts.get("monitor", "")).removeprefix("val/") for run in runs)
    first = next((name for name, _ in chose.most_common() if name in names), "cider")
    return sorted(names, key=lambda name: name != first)


def _scores(
    groups: Sequence[Setting], names: Sequence[str], samples: Mapping[str, Mapping[str, Sample]], *, by_valid: bool
) -> list[dict[str, Score]]:
    """Of each setting by metric; the first of those that have it is the best where valid chose."""
    scores: list[dict[str, Score]] = [{} for _ in groups]
    for name in names:
        of_metric = samples[name]
        each = [{run.label: of_metric[run.label] for run in group.runs if run.label in of_metric} for group in groups]
        having = [index for index, found in enumerate(each) if found]
        values = [np.array([sample.value for sample in each[index].values()]) for index in having]
        draws = [np.stack([sample.draws for sample in each[index].values()], axis=1) for index in having]
        best = 0 if by_valid else int(np.argmax([runs.mean() for runs in values]))
        found = differences(values, draws, best)
        contenders = [place for place, difference in enumerate(found) if difference.p >= LEVEL]
        for place, (index, runs, drawn) in enumerate(zip(having, values, draws, strict=True)):
            p, visible = found[place].p, found[place].visible
            mark: Mark = "tie" if p >= LEVEL else "better" if found[place].value > 0 else ""
            low, high = map(float, interval(_moved(runs, drawn)))
            told = steady(float(runs.mean()), high, float(np.mean([sample.jump for sample in each[index].values()])))
            scores[index][name] = Score(
                float(runs.mean()),
                float(runs.std(ddof=1)) if runs.size > 1 else None,
                low if told else None,
                high if told else None,
                "best" if place == best else mark,
                p,
                visible,
                _corrected(values, draws, contenders) if place == best and not by_valid else None,
                each[index],
            )
    return scores


def _moved(runs: FloatArray, draws: FloatArray) -> FloatArray:
    """What other images, and other seeds where there are several, would make of the mean: `[resamples]`.

    What seeds add is drawn from Student's t, for its variance is known from few runs.
    """
    means: FloatArray = draws.mean(axis=1)
    variance, freedom = seed_variance(runs, draws)
    if not freedom or not variance:
        return means
    noise: FloatArray = np.sqrt(variance) * np.random.default_rng(NOISE).standard_t(freedom, size=means.shape)
    return means + noise


def _corrected(values: Sequence[FloatArray], draws: Sequence[FloatArray], contenders: Sequence[int]) -> float:
    """The highest mean without what it owes to having been picked, among those that it is not told from.

    Means are drawn together as far as chance alone would part them, as James and Stein's estimator does (Efron 2011,
    Tweedie's formula and selection bias). Simulated with 2, 4 and 16 equal settings, the highest is too high by 0.6,
    1.0 and 1.8 of the deviation that chance gives a mean, and what is left of it by 0.2; with settings that differ as
    much as chance parts them, by 0.4, 0.7 and 1.3, and what is left by at most 0.1 too low.
    """
    means = np.array([values[place].mean() for place in contenders])
    if len(means) < 2:
        return float(means.max())
    drawn = np.stack([draws[place].mean(axis=1) for place in contenders], axis=1)
    images = float(np.var(drawn - drawn.mean(axis=1, keepdims=True), axis=0, ddof=1).sum()) / (len(means) - 1)
    seeds = float(np.mean([seed_variance(values[place], draws[place])[0] for place in contenders]))
    spread = float(means.var(ddof=1))
    kept = max(0.0, 1 - (images + seeds) / spread) if spread else 0.0
    return float(means.mean() + kept * (means.max() - means.mean()))


def _stopped(runs: Sequence[Run]) -> Iterator[str]:
    """A line for each run that has not trained all the epochs of its recipe."""
    yield from (f"{run.label}: {stopped_text(run.facts)}" for run in runs if run.facts.get("stopped_by"))


def _doubts(runs: Sequence[Run]) -> Iterator[str]:
    """A line for what makes test scores doubtful, such as images that were trained on, with the runs it was said of."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for text in [*run.facts.get("doubts", {}).get(SPLIT, []), *run.facts.get("missing_images", {}).get(SPLIT, [])]:
            found.setdefault(text, []).append(run.label)
    yield from (f"{text} ({listed(labels)})" for text, labels in found.items())


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
