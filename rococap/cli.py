"""What every command does with a user's mistake: the message on stderr, exit code 2, no traceback."""

from __future__ import annotations

import functools
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rococap.types import UserError

FAILED_JOBS = 1
USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it

_failed: list[int] = []  # numbers of the sweep's jobs


class LiveHandler(logging.StreamHandler[TextIO]):
    """Logs to standard output as it is at that moment: while a progress bar is shown, that is above the bar."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Takes the stream that Hydra's logging config gives, and leaves it: it was chosen before the bar came."""
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard output now."""
        return sys.stdout


@contextmanager
def user_errors() -> Iterator[None]:
    """Wrap a command: `with user_errors():`, or `@user_errors()` above its `main`.

    A UserError or Ctrl-C ends the process without a traceback; any other exception keeps its own.
    """
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def guarded(task: Callable[[DictConfig], float]) -> Callable[[DictConfig], float]:
    """Wrap what hydra.main calls: a job that fails does not end the sweep, it gives NaN; see `exit_code`."""

    @functools.wraps(task)
    def run(cfg: DictConfig) -> float:
        hydra = HydraConfig.get()
        try:
            if hydra.mode == RunMode.RUN:
                with user_errors():
                    return _interruptible(task, cfg)
            return _interruptible(task, cfg)
        except UserError as error:
            print(f"error in job {hydra.job.num}: {error}", file=sys.stderr)
        except Exception:
            if hydra.mode == RunMode.RUN:
                raise
            traceback.print_exc()
        _failed.append(hydra.job.num)
        return float("nan")

    return run


def exit_code() -> int:
    """Of a command whose jobs have all ended; says which of them failed in this process."""
    if _failed:
        print(f"{len(_failed)} jobs failed: {', '.join(map(str, _failed))}", file=sys.stderr)
    return FAILED_JOBS if _failed else 0


def continue_command() -> str:
    """The command line that goes on with the run, or the sweep, that is going on in this process."""
    hydra = HydraConfig.get()
    given = [word.lstrip("+") for word in (*hydra.overrides.task, *hydra.overrides.hydra)]
    words = []
    if not any(word.startswith(("name=", "hydra.run.dir=", "hydra.sweep.dir=")) for word in given):
        sweep = hydra.mode == RunMode.MULTIRUN
        folder = Path(os.path.relpath(hydra.sweep.dir if sweep else hydra.runtime.output_dir))
        inside = folder.parts[:1] == ("multirun",)
        key = "name" if inside else f"hydra.{'sweep' if sweep else 'run'}.dir"
        words = [f"{key}={folder.relative_to('multirun') if inside else folder}"]
    return shlex.join(["python", *sys.argv, *words])


def _interruptible(task: Callable[[DictConfig], float], cfg: DictConfig) -> float:
    try:
        return task(cfg)
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning turns Ctrl-C into an exit of its own.
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        print(f"interrupted; to go on: {continue_command()}", file=sys.stderr)
        sys.exit(INTERRUPTED)
