"""A time in which a run is worked on: what run.json says of it, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rococap.runs.folder import RunFolder


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
    """A time in which a run is worked on: run.json says that it is running, and then how that ended."""
    clock = Clock(folder)
    folder.note(state="running", last_error=None)
    try:
        yield clock
    except BaseException as error:
        state = "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "failed"
        folder.note(state=state, last_error=f"{type(error).__name__}: {error}", wall_seconds=clock.seconds())
        raise
    folder.note(state="finished", wall_seconds=clock.seconds())
