"""What every command has: a user's mistake in a line or two and exit code 2, a bar for what takes a while."""

from __future__ import annotations

import logging
import re
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from rococap.processes.identity import this_process
from rococap.types import UserError

FAILED_JOBS = 1  # of a sweep, some
USER_ERROR = 2

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


class Interrupted(BaseException):
    """A signal asked for the end. No `Exception`: nothing on its way out takes it for a fault of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)

    def __str__(self) -> str:
        return self.signal.name

    @property
    def exit_code(self) -> int:
        """As shells say it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal


@contextmanager
def user_errors() -> Iterator[None]:
    """Wrap a command: `with user_errors():`, or `@user_errors()` above its `main`.

    A UserError or a signal ends the process without a traceback; any other exception keeps its own. What bitsandbytes
    advises on being imported, of kernels to install, is not for the user.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        yield
    except UserError as error:
        _let_the_first_say_it()
        print(f"error: {printable(error)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except (Interrupted, KeyboardInterrupt) as error:
        stop = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        print(f"interrupted by {stop}", file=sys.stderr)
        sys.exit(stop.exit_code)


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
