"""A table of runs for a terminal of 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rococap.cli import printable
from rococap.runs.monitor import sign
from rococap.runs.overview import Group, Overview

_STYLES = {"running": "cyan", "starting": "cyan", "finished": "green", "failed": "red", "broken": "red"}
_OTHER = "yellow"  # what was stopped before its end
_INDENT = "  "


def show(console: Console, place: Path, groups: Sequence[Group]) -> None:
    """Print a line a run, a sweep's below its own line; then what errors ended runs, and the sum."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    for heading in ("state", "done", "left", "best", "size"):
        table.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=heading != "state")
    for group in groups:
        for cells in _rows(place, group):
            table.add_row(*cells)
    console.print(table)
    runs = [run for group in groups for run in group.runs]
    for run in runs:
        if run.note:
            line = Text(f"{_name(place, run.path)}: {printable(run.note)}", style="dim")
            console.print(line, no_wrap=True, overflow="ellipsis")
    states = ", ".join(f"{count} {printable(state)}" for state, count in Counter(run.state for run in runs).items())
    console.print(Text(f"{len(runs)} runs: {states}; {size_text(sum(run.size for run in runs))}"))


def size_text(size: float) -> str:
    """`1.2 GB`"""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def time_text(seconds: float) -> str:
    """`2 h 05 min`, and shorter what is shorter."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _rows(place: Path, group: Group) -> Iterator[Sequence[Text]]:
    indent = ""
    if group.sweep is not None:
        indent = _INDENT
        state = "running" if group.held else "sweep"
        finished = sum(run.state == "finished" for run in group.runs)
        best = _best(group.runs)
        size = size_text(sum(run.size for run in group.runs))
        cells = (_name(place, group.sweep), state, f"{finished}/{len(group.runs)}", "", best, size)
        yield [Text(cell, style="bold") for cell in cells]
    for run in group.runs:
        name = _one_line(run.path.name) if group.sweep else _name(place, run.path)
        done = "" if run.of is None else f"{run.done or 0:g}/{run.of:g}"
        left = "" if run.left is None else time_text(run.left)
        state_text = Text(printable(run.state), style=_STYLES.get(run.state, _OTHER))
        others = (Text(cell) for cell in (done, left, _best([run]), size_text(run.size)))
        yield [Text(indent + name), state_text, *others]


def _best(runs: Iterable[Overview]) -> str:
    """The best value among runs that monitor the same."""
    found = [run.best for run in runs if run.best is not None]
    names = {name for name, _ in found}
    if len(names) != 1:
        return ""
    name = names.pop()
    value = max((score for _, score in found), key=lambda score: sign(name) * score)
    return f"{printable(name).removeprefix('val/')} {value:.4g}"


def _name(place: Path, path: Path) -> str:
    return _one_line(path.relative_to(place) if path != place else path.name or path)


def _one_line(name: object) -> str:
    return printable(name).replace("\n", "\\n").replace("\t", "\\t")
