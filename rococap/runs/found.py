"""Where runs lie in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rococap.runs.locks import ASIDE

_FILES = frozenset({"config.yaml", "run.json"})


def run_folders(place: Path) -> list[Path]:
    """Those of runs at or below a place, but not of those that were set aside."""
    whole = (path for path, files in _folders(place, with_aside=False) if files >= _FILES)
    return sorted(whole, key=_natural)


def every_run_folder(place: Path) -> list[Path]:
    """Those of all runs at or below a place, also set aside, or with files missing."""
    return sorted((path for path, _ in _folders(place, with_aside=True)), key=_natural)


def _folders(place: Path, *, with_aside: bool) -> Iterator[tuple[Path, frozenset[str]]]:
    """Folders with a file of a run, and which of these they have; within a run there is no other."""
    for path, inside, files in os.walk(place):
        if found := _FILES.intersection(files):
            inside.clear()
            yield Path(path), found
        inside[:] = [name for name in inside if not name.startswith(".") and (with_aside or ASIDE not in name)]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Job 2 comes before job 10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", str(path))]
