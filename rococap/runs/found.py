"""Where runs lie in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rococap.runs.locks import ASIDE, holds_sweep

_FILES = frozenset({"config.yaml", "run.json"})


def run_folders(place: Path) -> list[Path]:
    """Those of runs at or below a place, but not of those that were set aside."""
    whole = (path for path, files in _folders(place, with_aside=False) if files >= _FILES)
    return sorted(whole, key=_natural)


def every_run_folder(place: Path) -> list[Path]:
    """Those of all runs at or below a place, also set aside, or with files missing; and what cannot be looked into."""
    lost: list[Path] = []
    found = _folders(place, with_aside=True, missed=lambda fault: lost.append(Path(fault.filename)))
    return sorted([*(path for path, _ in found), *lost], key=_natural)


def _folders(
    place: Path, *, with_aside: bool, missed: Callable[[OSError], object] | None = None, above: Iterable[Path] = ()
) -> Iterator[tuple[Path, frozenset[str]]]:
    """Folders with a file of a run, and which of these they have; within a run there is no other.

    A run or a sweep that was moved elsewhere, and is linked here, is taken too; no other link is followed.
    """
    seen = {place.resolve(), *above}
    for path, inside, files in os.walk(place, onerror=missed):
        if found := _FILES.intersection(files):
            inside.clear()
            yield Path(path), found
        inside[:] = [name for name in inside if not name.startswith(".") and (with_aside or ASIDE not in name)]
        for link in (each for name in inside if (each := Path(path, name)).is_symlink()):
            target = link.resolve()
            if not any(target.is_relative_to(each) for each in seen) and _holds_runs(link):
                yield from _folders(link, with_aside=with_aside, missed=missed, above=seen)
                seen.add(target)


def _holds_runs(folder: Path) -> bool:
    try:
        return holds_sweep(folder) or any((folder / name).is_file() for name in _FILES)
    except OSError:
        return False


def _natural(path: Path) -> list[tuple[int, str]]:
    """Job 2 comes before job 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", str(path))]
