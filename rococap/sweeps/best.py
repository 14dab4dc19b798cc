"""The best run of a search as an experiment that can be run by its name."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rococap.data.kept.files import write_whole
from rococap.sweeps.jobs import Job, Jobs
from rococap.sweeps.summary import best

_LEFT_OUT = ("experiment", "sweep")  # what they choose and set is written out


def write_best(path: Path, jobs: Sequence[Job], composed: Jobs) -> None:
    """Write the best finished job as `experiment/best.yaml` into the sweep's folder; none has finished: nothing."""
    folder = best([job.folder for job in jobs])
    if folder is None:
        return
    job = next(job for job in jobs if job.folder == folder)
    file = path / "experiment" / "best.yaml"
    file.parent.mkdir(exist_ok=True)
    said = f"{folder.state['monitor']} {folder.best_score:.4f} in {folder.path.name}"
    settings, dropped = experiment(job, composed)
    command = ["python", "train.py", "--config-dir", str(path), "experiment=best", *(f"~{key}" for key in dropped)]
    lines = [
        "# @package _global_",
        f"# The best of {len({job.folder for job in jobs})} trials, {said}. Run it:",
        f"#   {shlex.join(command)}",
    ]
    write_whole(file, "\n".join(lines) + "\n" + OmegaConf.to_yaml(settings))


def experiment(job: Job, composed: Jobs) -> tuple[DictConfig, list[str]]:
    """The choices and settings in which a job differs from the starting recipe; and what it lacks of that."""
    start, chosen = composed.choices([]), composed.choices(job.overrides)
    differ = {
        group: choice
        for group, choice in chosen.items()
        if choice != start.get(group) and group not in _LEFT_OUT and not group.startswith("hydra/")
    }
    base = composed.recipe([f"{group}={_word(choice)}" for group, choice in differ.items()])
    plain, wanted = OmegaConf.to_container(base), OmegaConf.to_container(job.recipe)
    settings = _difference(plain, wanted)
    defaults = [{f"override /{group}": choice} for group, choice in differ.items()]
    kept = {key: value for key, value in settings.items() if key not in {"name", "on_change"}}
    return OmegaConf.create({"defaults": ["_self_", *defaults], **kept}), _dropped(plain, wanted)


def _difference(base: Any, other: Any) -> dict[str, Any]:
    """What has to be merged into `base` to give `other`."""
    found = {}
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            if inner := _difference(base[key], value):
                found[key] = inner
        elif key not in base or base[key] != value:
            found[key] = value
    return found


def _dropped(base: Any, other: Any, prefix: str = "") -> list[str]:
    """Paths of what `base` has and `other` has not."""
    found = []
    for key, value in base.items():
        if key not in other:
            found.append(f"{prefix}{key}")
        elif isinstance(value, dict) and isinstance(other[key], dict):
            found += _dropped(value, other[key], f"{prefix}{key}.")
    return found


def _word(choice: Any) -> str:
    """As it is written on a command line."""
    return f"[{','.join(choice)}]" if isinstance(choice, list) else "null" if choice is None else str(choice)
