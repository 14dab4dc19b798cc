"""A time in which a run is worked on: what run.json says of it, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rococap.cli import Interrupted
from rococap.processes.group import at_work
from rococap.runs.folder import RunFolder
from rococap.runs.mishaps import mishaps_named


class Clock:
    """Time of a run and of its parts, over all its sessions."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.before = float(folder.state.get("wall_seconds", 0.0))
        self.parts: dict[str, float] = folder.state.get("seconds", {})
        self.start = self.noted = time.monotonic()
        self.current: str | None = None

    def seconds(self) -> float:
        """Seconds so far."""
        return round(self.before + time.monotonic() - self.start, 1)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of the run, whose seconds run.json keeps, also where it is interrupted."""
        self.current, self.noted = name, time.monotonic()
        try:
            yield
        finally:
            self.note()
            self.current = None

    def note(self) -> None:
        """Keep the time so far in run.json, for a run that may be killed: its own, and that of the part it is in."""
        now = time.monotonic()
        if self.current is not None:
            self.parts[self.current] = self.parts.get(self.current, 0.0) + now - self.noted
        self.noted = now
        seconds = {name: round(spent, 2) for name, spent in self.parts.items()}
        self.folder.note(wall_seconds=self.seconds(), seconds=seconds)


@contextmanager
def session(folder: RunFolder) -> Iterator[Clock]:
    """A time in which a run is worked on: run.json says that it is running, and then how that ended.

    finished is a run that has trained all its epochs; stopped, one that was ended before and says by what; interrupted,
    one that a signal ended; failed, one that an error did.
    """
    clock = Clock(folder)
    folder.note(state="running", last_error=None, stopped_by=None)
    folder.seal("config.yaml")
    try:
        with at_work(), mishaps_named():
            yield clock
    except BaseException as error:
        asked = isinstance(error, (Interrupted, KeyboardInterrupt, SystemExit))
        said = str(error) if isinstance(error, Interrupted) else f"{type(error).__name__}: {error}"
        folder.note(state="interrupted" if asked else "failed", last_error=said, wall_seconds=clock.seconds())
        raise
    folder.note(state="stopped" if folder.stopped else "finished", wall_seconds=clock.seconds())
