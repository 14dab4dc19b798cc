"""What a run leaves behind: its folder is claimed, written and read here only."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from rococap.cli import user_errors
from rococap.results import FILE as results_file
from rococap.results import read_results, show_table
from rococap.types import UserError

# What cannot change weights may differ when a run goes on.
_FREE = ("name", "logger", "metrics", "callbacks", "data.workers", "decoding.batch_size", "trainer.log_every_n_steps")
_locks: dict[Path, filelock.FileLock] = {}  # held until the process ends, however it ends


class ClaimFolder(Callback):
    """Hydra's callback that settles which folder a run has before Hydra writes a byte into it.

    A run without a name gets a new folder. With one, a finished run shows its table and ends; one that was
    interrupted goes on; another recipe, or a run that is going on, is refused. A sweep's jobs are claimed one by one,
    by `claim`.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        with user_errors():
            given = [str(word) for word in (*config.hydra.overrides.task, *config.hydra.overrides.hydra)]
            path = Path(config.hydra.run.dir)
            if not any(word.startswith(("name=", "hydra.run.dir=")) for word in given):
                path = new_folder(path)
                with open_dict(config):
                    config.hydra.run.dir = str(path)
            recipe = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            folder = claim(path, recipe)
            if folder.state.get("state") == "finished":
                show(folder)
                sys.exit()


@dataclass(frozen=True)
class RunFolder:
    """One run's folder; see the README for what it holds."""

    path: Path

    @property
    def config(self) -> DictConfig:
        """The resolved recipe, as it was when the run began."""
        file = self.path / "config.yaml"
        if not file.is_file():
            raise UserError(f"{self.path} is no run's folder (it has no config.yaml).")
        config = OmegaConf.load(file)
        assert isinstance(config, DictConfig)
        return config

    @property
    def state(self) -> dict[str, Any]:
        """run.json: state, progress, best checkpoint, cost, last error; empty before the run has begun."""
        file = self.path / "run.json"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    def note(self, **facts: Any) -> None:
        """Merge facts into run.json."""
        self.write_json("run.json", {**self.state, **facts})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file whole or not at all."""
        _replace(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

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

    def best_checkpoint(self) -> Path:
        """The checkpoint that is evaluated; raises UserError if the run has none."""
        name: str | None = self.state.get("best_checkpoint")
        if name is None or not (self.path / name).is_file():
            raise UserError(f"{self.path} has no checkpoint yet: let the run finish an epoch first.")
        return self.path / name

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
        sign = -1 if monitor.endswith("loss") else 1
        best = max(values, key=lambda epoch: -math.inf if math.isnan(values[epoch]) else sign * values[epoch])
        return best, values[best]

    def add_metrics(self, epoch: int, row: Mapping[str, float]) -> None:
        """Put an epoch's row into metrics.csv; rows that a resumed run repeats give way to it."""
        rows: list[dict[str, Any]] = [r for r in self.metrics() if int(r["epoch"]) < epoch]
        rows.append({"epoch": epoch, **row})
        lines = [header := list(dict.fromkeys(key for r in rows for key in r))]
        lines += [[r.get(key, "") for key in header] for r in rows]
        temporary = self.path / "metrics.csv.new"
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(lines)
        temporary.replace(self.path / "metrics.csv")


def claim(path: Path, config: DictConfig) -> RunFolder:
    """Make the folder this process's own, for a new run or to go on with the one in it.

    Raises:
        UserError: another process runs there, it holds another recipe or something else, or cannot be written.
    """
    folder = RunFolder(path)
    _lock(path)
    recipe = OmegaConf.to_container(config, resolve=True)
    if (path / "config.yaml").is_file():
        differences = _differences(OmegaConf.to_container(folder.config), recipe)
        if differences:
            raise UserError(
                f"{path} holds a run of another recipe: {'; '.join(differences)}.\n"
                "Take another name, or give the same settings to go on with it."
            )
    else:
        _replace(path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(recipe)))
    return folder


def show(folder: RunFolder) -> None:
    """The last word of a finished run: its table, its cost, and where everything lies."""
    console = Console()
    results = folder.path / results_file
    state = folder.state
    if results.is_file():
        show_table(read_results(results))
    show_warnings(folder)
    best = f"best {state['monitor']} {state['best_score']:.4f} ({state['best_checkpoint']})"
    minutes, seconds = divmod(round(state["wall_seconds"]), 60)
    console.print(f"{best}, {minutes} min {seconds} s, {state['peak_memory']['rss_mib']:,.0f} MiB")
    console.print(f"{folder.path}", soft_wrap=True)


def show_warnings(folder: RunFolder) -> None:
    """A line for each guard that is out of bounds, of every split that was captioned."""
    for split, guards in folder.state.get("guards", {}).items():
        for guard in guards:
            if guard["warning"]:
                Console().print(f"{split}: {guard['warning']}", style="yellow", markup=False, soft_wrap=True)


def _lock(path: Path) -> None:
    """Hold the folder. The system frees the lock when the process ends, even by SIGKILL."""
    path = path.resolve()
    if path in _locks:
        return
    known = {"config.yaml", "run.json", "train.log", ".hydra", ".lock"}
    try:
        path.mkdir(parents=True, exist_ok=True)
        if (there := {entry.name for entry in path.iterdir()}) and not there & known:
            raise UserError(f"{path} holds something else ({sorted(there)[0]}): take another name or folder.")
        lock = filelock.FileLock(path / ".lock")
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(f"{path}: a run is going on there. Wait for it, or take another name.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}. Choose hydra.run.dir=DIR elsewhere.") from error
    _locks[path] = lock


def new_folder(path: Path) -> Path:
    """`path`, or the next free name beside it: runs that start in the same second do not meet."""
    candidate, number = path, 1
    while True:
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            number += 1
            candidate = path.with_name(f"{path.name}_{number}")
        except OSError as error:
            raise UserError(
                f"{path} cannot be written: {error.strerror}. Choose hydra.run.dir=DIR elsewhere."
            ) from error


def _differences(old: Any, new: Any) -> list[str]:
    """`lora.rank was 8, is 16` for every setting that can change weights."""
    was, now = dict(_flat(old)), dict(_flat(new))
    keys = [key for key in sorted(was.keys() | now.keys()) if not _is_free(key)]
    missing = "absent"
    return [
        f"{key} was {was.get(key, missing)}, is {now.get(key, missing)}"
        for key in keys
        if was.get(key, missing) != now.get(key, missing)
    ]


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE)


def _flat(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [item for key, value in node.items() for item in _flat(value, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, node)]


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


class Clock:
    """Wall time of a run over all its sittings."""

    def __init__(self, folder: RunFolder) -> None:
        self.before = float(folder.state.get("wall_seconds", 0.0))
        self.start = time.monotonic()

    def seconds(self) -> float:
        """Seconds so far."""
        return round(self.before + time.monotonic() - self.start, 1)
