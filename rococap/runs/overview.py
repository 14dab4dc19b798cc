"""How runs stand, told from their folders alone: nothing is loaded, held or changed by looking."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rococap.runs.folder import RunFolder
from rococap.runs.found import every_run_folder
from rococap.runs.locks import holds_sweep, is_held, who_holds
from rococap.runs.results import FILE
from rococap.types import UserError

BROKEN = "broken"
_OVER = {"finished", "failed", BROKEN}  # what goes no further by itself


@dataclass(frozen=True)
class Overview:
    """One run.

    Attributes:
        state: as `RunFolder.status` has it; starting, where it has said nothing yet; broken, where what it says cannot
            be read.
        done, of: epochs, or jobs of a sweep; None where it is not known yet.
        left: seconds of training that remain, at the pace so far; None where that is not known or nothing remains.
        best: the best value of what is monitored, and its name; None before the first.
        size: bytes on the disk.
        note: the last error's first line; of a run that goes on, by which process.
    """

    path: Path
    state: str
    done: float | None
    of: float | None
    left: float | None
    best: tuple[str, float] | None
    size: int
    note: str


@dataclass(frozen=True)
class Group:
    """Runs that belong together: those of a sweep, or a single one that is none's."""

    sweep: Path | None
    held: bool  # whether the sweep itself is going on
    runs: Sequence[Overview]


def overview(place: Path) -> list[Group]:
    """All runs at or below a place, those of a sweep together; raises UserError where it is no folder."""
    if not place.is_dir():
        raise UserError(f"{place} is no folder. Give one that holds runs, such as multirun.")
    groups: dict[Path, list[Path]] = {}
    for path in every_run_folder(place):
        groups.setdefault(path.parent if holds_sweep(path.parent) else path, []).append(path)
    return [
        Group(where, is_held(where), [of_run(path) for path in paths])
        if paths != [where]
        else Group(None, False, [of_run(where)])
        for where, paths in groups.items()
    ]


def of_run(path: Path) -> Overview:
    """How one run stands."""
    folder = RunFolder(path)
    size = size_on_disk(path)
    try:
        os.scandir(path).close()
        state, facts = folder.status, folder.state
        if not (fault := _fault(folder, facts)):
            folder.verify("config.yaml", "metrics.csv", FILE)
    except (UserError, OSError, ValueError, TypeError) as error:
        facts, fault = {}, _line(error).removeprefix(f"{path}/")
    if fault:
        return Overview(path, BROKEN, None, None, None, None, size, fault)
    if not facts and is_held(path):
        state = "starting"
    going = state in {"running", "starting"}
    done, of = _number(facts.get("epochs_done")), _number(facts.get("epochs"))
    left = None if state in _OVER else _left(path, facts, done, of, going)
    score, monitor = _number(facts.get("best_score")), facts.get("monitor")
    best = (str(monitor), score) if score is not None and monitor is not None else None
    note = who_holds(path) if going else _line(facts.get("last_error") or "")
    return Overview(path, state, done, of, left, best, size, note)


def size_on_disk(path: Path) -> int:
    """Bytes that a folder takes; what two names of it share counts once. What cannot be looked into counts nothing."""
    seen: dict[tuple[int, int], int] = {}
    folders = [path]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    facts = entry.stat(follow_symlinks=False)
                    seen[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
        except OSError:
            continue
    return sum(seen.values())


def _fault(folder: RunFolder, facts: dict[str, Any]) -> str:
    """What a run's folder lacks that no run leaves out; empty where it lacks nothing."""
    recipe, record = folder.path / "config.yaml", folder.path / "run.json"
    if not recipe.is_file() or not recipe.stat().st_size:
        return f"config.yaml is {'empty' if recipe.is_file() else 'missing'}"
    if record.is_file() and not facts and not folder.state:  # it may have come in between
        return "run.json is empty"
    if not record.is_file() and any(folder.checkpoints.glob("*.ckpt")):
        return "run.json is missing"
    return ""


def _left(path: Path, facts: dict[str, Any], done: float | None, of: float | None, going: bool) -> float | None:
    parts = facts.get("seconds")
    spent = _number(parts.get("training")) if isinstance(parts, dict) else None
    if not done or of is None or not spent:
        return None
    remains = spent * max(of - done, 0) / done
    # run.json was written at the end of an epoch; since then the run has got further.
    return max(remains - (time.time() - (path / "run.json").stat().st_mtime), 0.0) if going else remains


def _number(value: object) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON's numbers have no end
        return None


def _line(said: object) -> str:
    lines = str(said).strip().splitlines()
    return lines[0].strip() if lines else ""
