"""The progress bar of preparing data: how far, how fast, how long still."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Item = TypeVar("Item")

MOMENT = 1.0  # seconds without a progress bar


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


def shown(items: Iterable[Item], total: int, unit: str, title: str, count: Callable[[Item], int]) -> Iterator[Item]:
    """Pass items on; a bar appears if they take more than a moment.

    Args:
        total: units of all items.
        count: units of an item. It is done when the next one is asked for.
    """
    begun, bar = time.monotonic(), progress_bar(unit)
    task = bar.add_task(title, total=total)
    try:
        for item in items:
            yield item
            bar.advance(task, count(item))
            if not bar.live.is_started and time.monotonic() - begun > MOMENT:
                bar.start()
    finally:
        if bar.live.is_started:
            bar.stop()
