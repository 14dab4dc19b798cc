"""One run's folder: its recipe, state, metrics and checkpoints are written and read here only."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rococap.data.kept.files import write_whole
from rococap.runs.locks import is_held, is_helper
from rococap.runs.monitor import sign
from rococap.runs.recipe_file import read_recipe_file, write_recipe_file
from rococap.runs.results import write_table
from rococap.runs.trust import place_inside, require_inside, require_trusted
from rococap.types import UserError


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
        config = self.config
        if not self.trusted:
            require_trusted(config, self.path)
            require_inside(self.path)
        return config

    @property
    def begun(self) -> bool:
        """Whether a run was ever here."""
        return (self.path / "config.yaml").is_file()

    @property
    def finished(self) -> bool:
        """Whether the run has nothing left to do."""
        return bool(self.state.get("state") == "finished")

    @property
    def status(self) -> str:
        """not started, running, finished, failed, interrupted; killed, where run.json says running and nobody runs."""
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
        """The best value of what the run monitors; the run has finished an epoch."""
        return float(self.state["best_score"])

    def note(self, **facts: Any) -> None:
        """Merge facts into run.json."""
        self.write_json("run.json", {**self.state, **facts})

    def note_peak(self, memory: Mapping[str, float]) -> None:
        """Keep the greatest of each kind of memory, over all sessions."""
        known = self.state.get("peak_memory", {})
        self.note(peak_memory={**known, **{kind: max(size, known.get(kind, 0.0)) for kind, size in memory.items()}})

    def write_recipe(self, config: DictConfig) -> None:
        """Write config.yaml, resolved."""
        write_recipe_file(self.path / "config.yaml", config)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file whole or not at all; of several processes that train a run the first one writes."""
        if not is_helper():
            write_whole(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def _read_json(self, name: str) -> dict[str, Any]:
        file = self.path / name
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def checkpoint(self, epoch: int) -> Path:
        """Where the weights after an epoch, counted from 0, are."""
        return self.checkpoints / f"epoch={epoch:02d}.ckpt"

    def last_checkpoint(self) -> Path | None:
        """Where the run goes on, if it was saved yet."""
        file = self.checkpoints / "last.ckpt"
        return file if file.is_file() else None

    def steps_done(self) -> int:
        """Optimizer steps that the last checkpoint has behind it; 0 without one."""
        import torch

        file = self.last_checkpoint()
        return int(torch.load(file, map_location="cpu", weights_only=True, mmap=True)["global_step"]) if file else 0

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
        with file.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def best_epoch(self, monitor: str) -> tuple[int, float]:
        """The first epoch with the best value of `monitor`, and the value: the least of a loss, else the greatest.

        Read from metrics.csv, which still holds every epoch where a run went on with other metrics or elsewhere.

        Raises:
            UserError: no epoch has a value of that name.
        """
        rows = self.metrics()
        values = {int(row["epoch"]): float(row[monitor]) for row in rows if row.get(monitor)}
        if not values:
            there = ", ".join(key for key in rows[-1] if key.startswith("val/"))
            raise UserError(f"monitor={monitor}: no epoch has this value. There are: {there}.")
        best = max(values, key=lambda epoch: -math.inf if math.isnan(values[epoch]) else sign(monitor) * values[epoch])
        return best, values[best]

    def add_metrics(self, epoch: int, row: Mapping[str, float]) -> None:
        """Put an epoch's row into metrics.csv; rows that a resumed run repeats give way to it."""
        rows: list[dict[str, Any]] = [r for r in self.metrics() if int(r["epoch"]) < epoch]
        rows.append({"epoch": epoch, **row})
        header = list(dict.fromkeys(key for r in rows for key in r))
        write_table(self.path / "metrics.csv", header, ([r.get(key, "") for key in header] for r in rows))
