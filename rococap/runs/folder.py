"""One run's folder: its recipe, state, metrics and checkpoints are written and read here only."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rococap.data.kept.files import write_whole
from rococap.runs.checkpoints import load, newest_whole
from rococap.runs.digests import damaged, digest, read_signed_json, signed_json
from rococap.runs.locks import is_held, is_helper
from rococap.runs.monitor import sign
from rococap.runs.recipe_file import read_recipe_file, recipe_text
from rococap.runs.results import table_text
from rococap.runs.trust import place_inside, require_inside, require_trusted
from rococap.types import UserError

ADAPTER = "adapter/adapter_model.safetensors"
EARLY = "early stopping"
SCORED = ("finished", "stopped")  # the states of runs that came to captioning and scoring


def stopped_text(state: Mapping[str, Any]) -> str:
    """What ended a run before its last epoch, and how far it was; `state` is its run.json."""
    more = "" if state["stopped_by"] == EARLY else "; the same command goes on"
    return f"stopped by {state['stopped_by']} after {state['epochs_done']} of {state['epochs']} epochs{more}"


@dataclass(frozen=True)
class RunFolder:
    """One run's folder; see the README for what it holds.

    Attributes:
        trusted: whether the user vouches for what it names: it is the user's own command that goes on there, or --trust
            was said.
    """

    path: Path
    trusted: bool = field(default=False, compare=False)

    @property
    def config(self) -> DictConfig:
        """The resolved recipe, as the run last went on with it; to be looked at, not to be built from."""
        file = self.path / "config.yaml"
        if not file.is_file():
            raise UserError(f"{self.path} is no run's folder (it has no config.yaml).")
        return read_recipe_file(file)

    @property
    def recipe(self) -> DictConfig:
        """`config`, to be built from. Raises UserError where it names what only a trusted folder may."""
        return self._to_build(None)

    @property
    def metrics_recipe(self) -> DictConfig:
        """As `recipe`, to build its metrics from and nothing else: what the rest names may be unknown here."""
        return self._to_build("metrics")

    def _to_build(self, only: str | None) -> DictConfig:
        config = self.config
        if not self.trusted:
            require_trusted(config, self.path, only)
            require_inside(self.path)
            self.verify("config.yaml")
        return config

    @property
    def begun(self) -> bool:
        """Whether a run was ever here."""
        return (self.path / "config.yaml").is_file()

    @property
    def done(self) -> bool:
        """Whether the run has nothing left to do by its own recipe: all its epochs, or early stopping ended it."""
        state = self.state
        return bool(state.get("state") == "finished" or (state.get("state") == "stopped" and self.stopped == EARLY))

    @property
    def stopped(self) -> str | None:
        """What ended the run before its last epoch, if anything did, such as `trainer.max_time`."""
        return self.state.get("stopped_by")

    @property
    def scored(self) -> bool:
        """Whether the run has scores of its best weights, be it that they are those of fewer epochs than planned."""
        return self.state.get("state") in SCORED and not math.isnan(self.best_score)

    @property
    def status(self) -> str:
        """How `session` says it, or not started; killed, where run.json says running and nobody runs."""
        state = str(self.state.get("state", "not started"))
        if state == "running" and not is_held(self.path):
            state = str(self.state.get("state"))  # it may have ended well in between
            return "killed" if state == "running" else state
        return state

    @property
    def state(self) -> dict[str, Any]:
        """run.json: state, progress, best checkpoint, cost, last error; empty before the run has begun."""
        return self._read_json("run.json")

    @property
    def environment(self) -> dict[str, Any]:
        """environment.json: the fixed facts; empty before the run has read its data."""
        return self._read_json("environment.json")

    @property
    def best_score(self) -> float:
        """The best value of what the run monitors; NaN where no epoch was validated yet."""
        return float(self.state.get("best_score", math.nan))

    def note(self, **facts: Any) -> None:
        """Merge facts into run.json."""
        self.write_json("run.json", {**self.state, **facts})

    def note_peak(self, memory: Mapping[str, float]) -> None:
        """Keep the greatest of each kind of memory, over all sessions."""
        known = self.state.get("peak_memory", {})
        self.note(peak_memory={**known, **{kind: max(size, known.get(kind, 0.0)) for kind, size in memory.items()}})

    def write_recipe(self, config: DictConfig) -> None:
        """Write config.yaml, resolved."""
        text = recipe_text(config)
        self._announce("config.yaml", text)
        write_whole(self.path / "config.yaml", text)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file whole or not at all; of several processes that train a run the first one writes."""
        if not is_helper():
            write_whole(self.path / name, signed_json(content))

    def _read_json(self, name: str) -> dict[str, Any]:
        file = self.path / name
        return read_signed_json(file) if file.is_file() else {}

    def seal(self, *names: str) -> None:
        """Keep what files that were just written are like; those that are not there are left out."""
        there = [name for name in names if (self.path / name).is_file()]
        self.note(digests={**self._digests, **{name: [digest(self.path / name)] for name in there}})

    def unseal(self, *names: str) -> None:
        """Files are about to be written anew: should that not come to its end, they are not taken for damaged."""
        if kept := {name: value for name, value in self._digests.items() if name not in names}:
            self.note(digests=kept)

    def verify(self, *names: str) -> None:
        """Raise UserError naming a file that is not as it was sealed; what was never sealed, or is gone, is none."""
        for name in names:
            known, file = self._digests.get(name), self.path / name
            if known and file.is_file() and digest(file) not in known:
                raise UserError(damaged(file, "it was changed after it was written"))

    @property
    def _digests(self) -> dict[str, list[str]]:
        return dict(self.state.get("digests", {}))

    def _announce(self, name: str, text: str) -> None:
        """Before a file of a run that has begun gets this text: until it has it, the old one is right too."""
        if self.state:
            there = self.path / name
            right = [digest(there)] if there.is_file() else []
            self.note(digests={**self._digests, name: [*right, digest(text)]})

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def checkpoint(self, epoch: int) -> Path:
        """Where the weights after an epoch, counted from 0, are."""
        return self.checkpoints / f"epoch={epoch:02d}.ckpt"

    @property
    def last(self) -> Path:
        """Where the newest state of training is kept, also within an epoch."""
        return self.checkpoints / "last.ckpt"

    def epochs_kept(self) -> dict[int, Path]:
        """The epochs, counted from 0, whose weights are kept, in order."""
        files = self.checkpoints.glob("epoch=*.ckpt")
        numbers = ((file.stem.removeprefix("epoch="), file) for file in files)
        return dict(sorted((int(number), file) for number, file in numbers if number.isdecimal()))

    def last_checkpoint(self, *, loudly: bool = False) -> Path | None:
        """Where the run goes on: the newest whole checkpoint, if any; `loudly`: damaged ones before it are named."""
        files = [self.last, *reversed(self.epochs_kept().values())]
        return newest_whole((file for file in files if file.is_file()), loudly=loudly)

    def steps_done(self) -> int:
        """Optimizer steps behind the checkpoint from which the run goes on; 0 without one."""
        file = self.last_checkpoint()
        return int(load(file, mmap=True)["global_step"]) if file else 0

    def best_checkpoint(self) -> Path:
        """The checkpoint that is evaluated; raises UserError if the run has none."""
        name: str | None = self.state.get("best_checkpoint")
        file = None if name is None else place_inside(self.path, name)
        if file is None or not file.is_file():
            raise UserError(f"{self.path} has no checkpoint yet: let the run finish an epoch first.")
        return file

    def metrics(self) -> list[dict[str, str]]:
        """The rows of metrics.csv, one an epoch."""
        file = self.path / "metrics.csv"
        if not file.is_file():
            return []
        self.verify(file.name)
        with file.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    @property
    def validated(self) -> bool:
        """Whether any epoch was."""
        return any(row.get("val/loss") for row in self.metrics())

    def measured(self, monitor: str) -> str:
        """`monitor`, or val/loss where no epoch has it: a run that goes on with other metrics has begun without."""
        return monitor if any(row.get(monitor) for row in self.metrics()) else "val/loss"

    def best_epoch(self, monitor: str) -> tuple[int, float]:
        """The first epoch with the best value of `monitor`, and the value: the least of a loss, else the greatest.

        Read from metrics.csv, which still holds every epoch where a run went on with other metrics or elsewhere; of
        those whose weights are kept, where any are.

        Raises:
            UserError: no epoch has a value of that name.
        """
        rows = self.metrics()
        values = {int(row["epoch"]): float(row[monitor]) for row in rows if row.get(monitor)}
        if not values:
            there = ", ".join(key for key in rows[-1] if key.startswith("val/"))
            raise UserError(f"monitor={monitor}: no epoch has this value. There are: {there}.")
        values = {epoch: values[epoch] for epoch in values if epoch in self.epochs_kept()} or values
        best = max(values, key=lambda epoch: -math.inf if math.isnan(values[epoch]) else sign(monitor) * values[epoch])
        return best, values[best]

    def add_metrics(self, epoch: int, row: Mapping[str, float]) -> None:
        """Put an epoch's row into metrics.csv; rows that a resumed run repeats give way to it."""
        rows: list[dict[str, Any]] = [r for r in self.metrics() if int(r["epoch"]) < epoch]
        rows.append({"epoch": epoch, **row})
        header = list(dict.fromkeys(key for r in rows for key in r))
        text = table_text(header, ([r.get(key, "") for key in header] for r in rows))
        self._announce("metrics.csv", text)
        write_whole(self.path / "metrics.csv", text)
