"""What a run says at its end: one table of scores, its warnings, its cost, and where everything lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich import box
from rich.table import Table
from rich.text import Text

from rococap.cli import Terminal, printable
from rococap.metrics.signature import difference
from rococap.runs.folder import ADAPTER, RunFolder, stopped_text
from rococap.runs.results import FILE, OTHERS, Row, read_results
from rococap.types import UserError

WIDTH = 100  # columns of a terminal that a table fits into


def show_run(folder: RunFolder) -> None:
    """The last word of a run that ended well: its table, its cost, and where everything lies."""
    console = Terminal()
    results = folder.path / FILE
    state = folder.state
    folder.verify(FILE, ADAPTER)
    if results.is_file():
        show_scores(read_results(results))
    show_warnings(folder)
    if folder.stopped:
        console.print(stopped_text(state), style="yellow", soft_wrap=True)
    best = "no epoch was validated"
    if "best_score" in state:
        best = f"best {state['monitor']} {state['best_score']:.4f} ({state['best_checkpoint']})"
    minutes, seconds = divmod(round(state["wall_seconds"]), 60)
    console.print(f"{best}, {minutes} min {seconds} s, {state['peak_memory']['rss_mib']:,.0f} MiB")
    if (page := folder.path / "report.html").is_file():
        console.print(f"look: {page}\nthen: python scripts/caption.py --run {folder.path} IMAGE...", soft_wrap=True)
    console.print(f"{folder.path}", soft_wrap=True)


def show_warnings(folder: RunFolder) -> None:
    """A line for all that a score hangs on and does not show: missing data, leaks, guards that are out of bounds."""
    for texts in folder.state.get("missing_images", {}).values():
        for text in texts:
            Terminal().print(f"{text}: scores are of the others", style="yellow", soft_wrap=True)
    for texts in folder.state.get("doubts", {}).values():
        for text in texts:
            Terminal().print(text, style="bold red", soft_wrap=True)
    for split, guards in folder.state.get("guards", {}).items():
        for guard in guards:
            if guard["warning"]:
                Terminal().print(f"{split}: {guard['warning']}", style="yellow", soft_wrap=True)


def show_scores(rows: Sequence[Row]) -> None:
    """Print `score_table`. Where there are less than 100 columns its lines wrap, rather than lose digits."""
    Terminal(width=max(WIDTH, Terminal().width)).print(score_table(rows))


def score_table(rows: Sequence[Row]) -> Table:
    """The scores of whole splits for a terminal of 100 columns: a metric a line, the other systems beside the model.

    Raises UserError where one metric's signatures differ.
    """
    whole = [row for row in rows if row.slice == "all"]
    _require_one_signature(whole)
    with_blind = any(row.metric.endswith("_blind") for row in whole)
    others = [system for system in OTHERS if any(row.system == system for row in whole)]
    shown_ends = [row for row in whole if row.system == "model" and not row.metric.endswith("_blind") and row.n > 1]
    without = any(row.ci_low is None for row in shown_ends)
    caption = "; ".join([*_legend(with_blind, others, without), *_parts(whole)])
    shown = Table(caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("(images)", no_wrap=True)
    for heading in ["score", "95 % CI", *(["blind", "gain", "95 % CI"] if with_blind else []), *others]:
        shown.add_column(heading, justify="right", no_wrap=True)
    for split, group in groupby(whole, key=lambda row: row.split):
        found = {(row.system, row.metric): row for row in group}
        shown.add_section()
        images = max(row.n for row in found.values())
        shown.add_row(Text(f"{printable(split)} ({images:,})", style="bold"))
        for name in dict.fromkeys(metric for _, metric in found if not metric.endswith(("_blind", "_gain"))):
            score, blind, gain = (found.get(("model", name + end)) for end in ("", "_blind", "_gain"))
            cells = [_value(score), _ends(score), *([_value(blind), _value(gain), _ends(gain)] if with_blind else [])]
            of = f" ({score.n:,})" if score and score.n < images else ""
            shown.add_row(f"{name}{of}", *cells, *(_value(found.get((system, name))) for system in others))
    if Terminal(width=1000).measure(shown).maximum > WIDTH:
        shown.padding = 0
    return shown


def _legend(with_blind: bool, others: Iterable[str], without: bool) -> list[str]:
    blind = ["blind: its captions given to other images", "gain: score over blind"] if with_blind else []
    missing = ["no interval: none is computed, or a few right captions more would leave it"] if without else []
    return [*blind, *(f"{system}: {OTHERS[system]}" for system in others), *missing]


def _parts(rows: Iterable[Row]) -> list[str]:
    """Which part of a split some metrics are of, as their signatures say."""
    fields = dict.fromkeys(field for row in rows for field in row.signature.split("|") if field.startswith("part:"))
    return [f"(n) behind a score: images of {field.removeprefix('part:')} alone" for field in fields]


def _require_one_signature(rows: Sequence[Row]) -> None:
    columns: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        columns.setdefault((row.split, row.metric), []).append(row.signature)
    for (_, metric), signatures in columns.items():
        if reason := difference(signatures):
            raise UserError(
                f"{metric}: these scores were computed in different ways and cannot be compared ({reason})."
            )


def _value(row: Row | None) -> str:
    return "" if row is None else f"{row.value:z.4f}"


def _ends(row: Row | None) -> str:
    return "" if row is None or row.ci_low is None else f"{row.ci_low:z.3f}..{row.ci_high:z.3f}"
