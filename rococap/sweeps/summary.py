"""The last word of a sweep: how each of its jobs ended, read from its folder, in whichever process it ran."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from rich import box
from rich.table import Table

from rococap.cli import Terminal
from rococap.runs.folder import RunFolder
from rococap.runs.monitor import sign
from rococap.sweeps.jobs import Job

_WIDTH = 160  # of a table in a file, which has none of its own


def show_summary(jobs: Sequence[Job]) -> bool:
    """Print one table, and below it why jobs failed; gives whether all finished."""
    folders = list(dict.fromkeys(job.folder for job in jobs))
    console = Terminal(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_table(folders))
    for folder in folders:
        if folder.state.get("state") == "failed":
            error = str(folder.state["last_error"]).partition("\n")[0]
            console.print(f"{folder.path.name}: {error}", soft_wrap=True)
    unfinished = sum(not folder.done for folder in folders)
    if unfinished:
        print(f"{unfinished} of {len(folders)} jobs did not finish", file=sys.stderr)
    return not unfinished


def best(folders: Sequence[RunFolder]) -> RunFolder | None:
    """The finished run with the best value of what it monitors; None where none has finished."""
    finished = [folder for folder in folders if folder.done and not math.isnan(folder.best_score)]
    return max(finished, key=lambda folder: sign(folder.state["monitor"]) * folder.best_score, default=None)


def _table(folders: Sequence[RunFolder]) -> Table:
    monitors = dict.fromkeys(str(folder.state["monitor"]) for folder in folders if folder.done)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("job", overflow="fold")
    table.add_column("state")
    table.add_column(f"best {', '.join(monitors)}" if monitors else "best", justify="right")
    table.add_column("time", justify="right")
    winner = best(folders) if len(monitors) == 1 else None
    for folder in folders:
        score = f"{folder.best_score:.4f}" if folder.scored else ""
        style = "bold" if folder == winner else ""
        table.add_row(folder.path.name, folder.status, score, _time(folder), style=style)
    return table


def _time(folder: RunFolder) -> str:
    minutes, seconds = divmod(round(folder.state.get("wall_seconds", 0.0)), 60)
    return f"{minutes} min {seconds} s" if folder.state else ""
