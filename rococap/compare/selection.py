"""Which of several settings is the best: chosen on valid where their validation scores can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rococap.compare.gather import Sample, listed
from rococap.compare.runs import Run, Setting, value_text
from rococap.runs.monitor import sign

# What says on which images a run was validated.
_IMAGES = ("data.val_images", "data.subset_seed", "trainer.limit_val_batches", "trainer.overfit_batches")
# What says of which tokens or labels a loss is, and how it is counted.
_LOSS = (
    *("model._target_", "model.path", "model.decoder", "model.prompt", "model.loss", "data.max_tokens"),
    *("concepts.weight", "concepts.kind", "concepts.min_count"),
)


def monitor_of(runs: Sequence[Run]) -> tuple[str | None, str]:
    """What chose the checkpoints of all runs, such as val/cider; or None, and why it cannot choose a setting."""
    monitors = list(dict.fromkeys(str(run.facts.get("monitor")) for run in runs))
    judges = (*_IMAGES, *(_LOSS if "val/loss" in monitors else ()))
    differing = [name for name in judges if len({value_text(run.recipe.get(name)) for run in runs}) > 1]
    without = [run.label for run in runs if math.isnan(run.folder.best_score)]
    why = ""
    if len(monitors) > 1:
        why = f"checkpoints were chosen by different values ({', '.join(monitors)})"
    elif differing:
        why = f"{monitors[0]} is not of the same in all runs ({', '.join(differing)})"
    elif without:
        why = f"{listed(without)} has no validation score"
    return (None, f"the best was chosen on test: {why}") if why else (monitors[0], "")


def chosen_score(group: Setting) -> float:
    """The mean of its runs' validation scores."""
    return float(np.mean([run.folder.best_score for run in group.runs]))


def rank(group: Setting, monitor: str | None, samples: Mapping[str, Sample]) -> float:
    """The less the better: by the value that chose, or by the test score in the first metric; without one the last."""
    if monitor is not None:
        return -sign(monitor) * chosen_score(group)
    values = [samples[run.label].value for run in group.runs if run.label in samples]
    return -float(np.mean(values)) if values else math.inf
