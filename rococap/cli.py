"""What every command has: a user's mistake in a line or two and exit code 2, a bar for what takes a while."""

from __future__ import annotations

import functools
import logging
import os
import re
import shlex
import signal
import sys
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, TypeVar

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from rococap.processes.identity import this_process
from rococap.types import UserError

FAILED_JOBS = 1  # of a sweep, some
USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it

_MOMENT = 1.0  # seconds without a progress bar
_PATIENCE = 5.0  # seconds that a process leaves to the first one to say what is wrong

Item = TypeVar("Item")

# What a terminal obeys rather than shows: control characters but for line ends and tabs, what turns the direction of
# text around, and halves of characters, which cannot even be printed.
_OBEYED = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")

log = logging.getLogger(__name__)


class LiveHandler(logging.StreamHandler[TextIO]):
    """Logs to standard output as it is at that moment: while a progress bar is shown, that is above the bar."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Takes the stream that Hydra's logging config gives, and leaves it: it was chosen before the bar came."""
        logging.Handler.__init__(self)

    def format(self, record: logging.LogRecord) -> str:
        """What is logged may quote a caption, or the name of a file."""
        return printable(super().format(record))

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
        _let_the_first_say_it()
        print(f"error: {printable(error)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def printable(text: object) -> str:
    """Text for a terminal: captions, ids and names are data, and what would command a terminal is spelt out."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), str(text))


class Terminal(Console):
    """A console to which text is text: no `[bold]`, no `:smile:`, nothing that a terminal obeys.

    That goes for every string, in a table's cells and titles too, whoever wrote it. A `Text` may have style.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """As rich would show it, made printable."""
        return super().render_str(printable(text), **settings)


def add_trust(parser: ArgumentParser) -> None:
    """The option of commands that open a run's folder."""
    parser.add_argument(
        "--trust", action="store_true", help="build whatever the folder's config.yaml names, as if you had written it"
    )


def guarded(task: Callable[[DictConfig], float]) -> Callable[[DictConfig], float]:
    """Wrap what hydra.main calls: a job that fails does not end the sweep, it gives NaN; its folder says why."""

    @functools.wraps(task)
    def run(cfg: DictConfig) -> float:
        hydra = HydraConfig.get()
        stop_on_terminate()
        if hydra.mode == RunMode.RUN:
            log.info("to go on after an interruption: %s", continue_command(hydra))
            with user_errors(), going_on(hydra):
                return _interruptible(task, cfg)
        try:
            return _interruptible(task, cfg)
        except UserError as error:
            print(f"error in job {hydra.job.num}: {printable(error)}", file=sys.stderr)
        except Exception:
            traceback.print_exc()
        return float("nan")

    return run


@contextmanager
def going_on(hydra: HydraConf) -> Iterator[None]:
    """End the process at Ctrl-C, saying how to go on with the run or the sweep."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"interrupted; to go on: {continue_command(hydra)}", file=sys.stderr)
        sys.exit(INTERRUPTED)


def stop_on_terminate() -> None:
    """Take SIGTERM as Ctrl-C: noted, and answered with how to go on. A cluster's launcher may have its own way."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def continue_command(hydra: HydraConf) -> str:
    """The command line that goes on with the run, or the sweep, that is going on in this process."""
    words = list(sys.argv)
    keys = ("name=", "hydra.run.dir=", "hydra.sweep.dir=")
    if not any(word.lstrip("+").startswith(keys) for word in words):
        sweep = hydra.mode == RunMode.MULTIRUN
        folder = Path(os.path.relpath(hydra.sweep.dir if sweep else hydra.run.dir))
        inside = folder.parts[:1] == ("multirun",)
        key = "name" if inside else f"hydra.{'sweep' if sweep else 'run'}.dir"
        # Beside the other settings: argparse takes them in one row only, and a flag may follow them.
        last = max((i for i, word in enumerate(words) if "=" in word and word[0] != "-"), default=len(words) - 1)
        words.insert(last + 1, f"{key}={folder.relative_to('multirun') if inside else folder}")
    return shlex.join(["python", *words])


def _interruptible(task: Callable[[DictConfig], float], cfg: DictConfig) -> float:
    try:
        return task(cfg)
    except SystemExit as stop:
        # Lightning turns Ctrl-C into an exit of its own.
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _let_the_first_say_it() -> None:
    """Of a run's processes all meet most mistakes; the first says it, and with it the others end."""
    if this_process().helps:
        with suppress(KeyboardInterrupt):
            time.sleep(_PATIENCE)


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self.unit}/s" if speed else f"? {self.unit}/s", style="progress.data.speed")


def progress_bar(unit: str) -> Progress:
    """A bar with rate and time left; not started yet."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(unit), TimeRemainingColumn()
    )


def with_progress(
    items: Iterable[Item], total: int, unit: str, title: str, count: Callable[[Item], int]
) -> Iterator[Item]:
    """Pass items on; a bar appears if they take more than a moment.

    Args:
        total: units of all items.
        count: units of an item. It is done when the next one is asked for.
    """
    if this_process().helps:  # the first process of the run shows it
        yield from items
        return
    begun, bar = time.monotonic(), progress_bar(unit)
    task = bar.add_task(title, total=total)
    try:
        for item in items:
            yield item
            bar.advance(task, count(item))
            if not bar.live.is_started and time.monotonic() - begun > _MOMENT:
                bar.start()
    finally:
        if bar.live.is_started:
            bar.stop()
