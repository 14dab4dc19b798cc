"""The scaling curves of a comparison: one for each recipe that was run on several fractions of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rococap.compare.comparison import Comparison
from rococap.compare.power_law import Forecast, Points, forecast
from rococap.compare.runs import SEED, Setting, value_text
from rococap.types import UserError

DOUBT = 0.01  # below such a p-value the curve is said not to fit
FRACTION, SUBSET_SEED = "data.fraction", "data.subset_seed"


@dataclass(frozen=True)
class Growth:
    """What is known of one recipe's growth with data in one metric."""

    label: str  # the other settings
    metric: str
    points: Points
    forecast: Forecast | None
    refusal: str  # why there is none


def growths(comparison: Comparison, metric: str) -> list[Growth]:
    """Of each recipe; none where data.fraction was not swept."""
    if FRACTION not in comparison.axes:
        return []
    groups: dict[str, list[int]] = {}
    for index, setting in enumerate(comparison.settings):
        if metric in comparison.scores[index]:
            groups.setdefault(_others(setting), []).append(index)
    return [_growth(comparison, metric, label, indices) for label, indices in groups.items()]


def described(growth: Growth) -> str:
    """A line on what the curve says of all of the data."""
    prefix = f"{growth.label}: " if growth.label else ""
    if growth.forecast is None:
        return f"{prefix}{growth.metric}: {growth.refusal}"
    value, low, high = growth.forecast.whole
    most = growth.points.fractions.max()
    kind = "forecast" if most < 1 else "fitted, and measured there too"
    chance = ", ".join(growth.forecast.sources)
    fits = growth.forecast.p_fits
    doubt = f"; the runs do not follow such a curve (p = {fits:.2g})" if fits is not None and fits < DOUBT else ""
    return (
        f"{prefix}{growth.metric} at 100 % of the data, {kind}: {value:.4f} [{low:.4f}, {high:.4f}] "
        f"(band over {chance}; measured up to {most:.0%}{doubt})"
    )


def _growth(comparison: Comparison, metric: str, label: str, indices: list[int]) -> Growth:
    runs = [
        (run, comparison.scores[index][metric].samples[run.label])
        for index in indices
        for run in comparison.settings[index].runs
        if run.label in comparison.scores[index][metric].samples
    ]
    points = Points(
        fractions=np.array([float(run.recipe[FRACTION]) for run, _ in runs]),
        scores=np.array([sample.value for _, sample in runs]),
        seeds=[int(run.recipe[SEED]) for run, _ in runs],
        subset_seeds=[int(run.recipe[SUBSET_SEED]) for run, _ in runs],
        draws=np.stack([sample.draws for _, sample in runs], axis=1),
    )
    try:
        return Growth(label, metric, points, forecast(points), "")
    except UserError as error:
        return Growth(label, metric, points, None, str(error))


def _others(setting: Setting) -> str:
    rest = {axis: value for axis, value in setting.values.items() if axis not in (FRACTION, SUBSET_SEED)}
    return " ".join(f"{axis}={value_text(value)}" for axis, value in rest.items())
