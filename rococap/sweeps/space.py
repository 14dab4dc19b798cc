"""What the swept overrides of a command line mean to Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution(override: Override) -> BaseDistribution:
    """Where a swept override's values come from.

    `interval(0.0,0.2)`, or `int(interval(1,64))` for whole numbers, or `tag(log,interval(1e-4,1e-2))`; `range(1,9,2)`
    has steps, and may count down; anything else is a list of choices.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match override.value():
        case IntervalSweep(start=int(low), end=int(high), tags=tags):
            return IntDistribution(low, high, log="log" in tags)
        case IntervalSweep(start=low, end=high, tags=tags) if low is not None and high is not None:
            return FloatDistribution(low, high, log="log" in tags)
        case RangeSweep(step=step) as swept:
            numbers = sorted(swept.range())
            if isinstance(step, int) and isinstance(numbers[0], int):
                return IntDistribution(numbers[0], int(numbers[-1]), step=abs(step))
            return FloatDistribution(numbers[0], numbers[-1], step=abs(step))
    return CategoricalDistribution(list(override.sweep_string_iterator()))
