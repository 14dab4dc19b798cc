"""Folders of runs and sweeps: new ones that meet no other, held by one process, set aside but never lost."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rococap.processes.identity import this_process
from rococap.runs.lock import holder, is_taken, take
from rococap.types import UserError

ASIDE = "~"  # in the name of what was set aside; no name of a run or of a job has it
_RUN, _SWEEP = ".lock", ".sweep.lock"
_locks: dict[Path, int] = {}  # descriptors, open until the process ends, however it ends


def is_helper() -> bool:
    """Whether this is one of several processes that train a run, and not the first of them, which has its folder."""
    return this_process().helps


def require_writable(folder: Path) -> None:
    """Make a folder that a command will write into, before there is a result to lose.

    Raises:
        UserError: it cannot be written to, or is a run's, whose own predictions, scores or page would be lost.
    """
    if all((folder / name).is_file() for name in ("config.yaml", "run.json")):
        raise UserError(f"{folder} is a run's folder, and what it holds would be lost: choose another with --out DIR.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"{folder} cannot be written to ({error.strerror}): choose another with --out DIR.") from error


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
            raise _unwritable(path, error) from error


def hold_run(path: Path) -> None:
    """Make a run's folder this process's own; raises UserError where another runs there or it is something else."""
    if holds_sweep(path):
        raise UserError(f"{path} holds a sweep, not a run: take another name.")
    _hold(path, _RUN, {"config.yaml", "run.json", "train.log", ".hydra", _RUN}, "a run")


@contextmanager
def releasing(path: Path) -> Iterator[None]:
    """`hold_run` for a while, rather than until the process ends."""
    hold_run(path)
    try:
        yield
    finally:
        os.close(_locks.pop(path.resolve()))


def holds_sweep(path: Path) -> bool:
    """Whether a folder is a sweep's."""
    return (path / _SWEEP).exists()


def hold_sweep(path: Path) -> None:
    """Make a sweep's folder this process's own; raises UserError where another runs there or it is something else."""
    if (path / "config.yaml").exists():
        raise UserError(f"{path} holds a run, not a sweep: take another name.")
    _hold(path, _SWEEP, {_SWEEP}, "a sweep")


def is_held(path: Path) -> bool:
    """Whether another process runs in the folder of a run or a sweep. That is asked, and nobody is kept out by it."""
    return path.resolve() not in _locks and any(is_taken(path / name) for name in (_RUN, _SWEEP))


def who_holds(path: Path) -> str:
    """The process that runs in a folder, such as `process 4242 on gpu7`, as it said itself."""
    return next((holder(path / name) for name in (_RUN, _SWEEP) if is_taken(path / name)), "")


def set_aside(path: Path) -> Path:
    """Rename a run's folder to the next free of `NAME~1`, `NAME~2`; raises UserError while a run goes on there."""
    hold_run(path)
    aside = path.rename(next_aside(path))
    os.close(_locks.pop(path.resolve()))
    return aside


def next_aside(path: Path) -> Path:
    """The first free name among `NAME~1`, `NAME~2`, before a file's suffix."""
    stem, suffix = (path.stem, path.suffix) if path.is_file() else (path.name, "")
    names = (path.with_name(f"{stem}{ASIDE}{number}{suffix}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _hold(path: Path, name: str, known: set[str], what: str) -> None:
    """The system frees the lock when the process ends, even by SIGKILL."""
    path = path.resolve()
    if path in _locks:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        if (there := {entry.name for entry in path.iterdir()}) and not there & known:
            raise UserError(f"{path} holds something else ({sorted(there)[0]}): take another name or folder.")
        lock = take(path / name)
    except OSError as error:
        raise _unwritable(path, error) from error
    if lock is None:
        by = holder(path / name)
        raise UserError(f"{path}: {what} is going on there{by and f' ({by})'}. Wait for it, or take another name.")
    _locks[path] = lock


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written: {error.strerror}. Choose hydra.run.dir=DIR elsewhere.")
