"""A comparison as tables: for a terminal, as CSV, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rococap.compare.comparison import Comparison, Score
from rococap.compare.gather import SPLIT
from rococap.compare.runs import COSTS, SEED, Setting, value_text
from rococap.data.kept.files import write_whole
from rococap.runs.results import write_table

Column = tuple[str, list[str]]  # a heading, and a cell for each setting
HEADINGS = {
    "training_seconds": "training min",
    "captioning_seconds": "captioning min",
    "wall_seconds": "wall min",
    "rss_mib": "MiB",
    "gpu_mib": "GPU MiB",
    "trainable_parameters": "trainable",
}
SIGNS = {"best": "*", "tie": "=", "better": "+", "": ""}
ONCE = "one seed each"
NO_INTERVAL = "No interval: a few captions more that are right would leave it, or its concepts are too rare."
_MARKUP = re.compile(r"<(?=[a-zA-Z/!])|!(?=\[)")  # tags and pictures: names and errors are text
_LONG = 20  # characters of a heading in a terminal; a longer setting's name is broken at its dots


def legend(comparison: Comparison) -> str:
    """What the marks and the numbers mean."""
    every = [score for scores in comparison.scores for score in scores.values()]
    missing = f" {NO_INTERVAL}" if any(score.ci_low is None for score in every) else ""
    first = f"chosen on valid, by {comparison.chosen_by}" if comparison.chosen_by else "of the highest test score"
    test = "5 %, paired on the test images, corrected for all comparisons (Games and Howell)"
    if comparison.once:
        return (
            f"First: the setting {first}. {ONCE.capitalize()}: another seed may turn any difference, and none is "
            f"called real. Cells: 95 % interval over images.{missing}"
        )
    better = "; + significantly better than it" if comparison.chosen_by else ""
    luck = "" if comparison.chosen_by else " left: of the highest score, without the luck of having been picked for it."
    return (
        f"* the setting {first}; = not significantly different from it ({test}){better}. Cells: mean ± standard "
        "deviation over seeds, 95 % interval over images and seeds. sees: of a tie, the smallest difference that four "
        f"of five such comparisons would find.{luck}{missing}"
    )


def columns(comparison: Comparison, form: Callable[[Score], str]) -> list[Column]:
    """The axes and how many runs there are, what chose the best, then scores in some form, then costs."""
    found = [(axis, _axis(comparison, axis)) for axis in comparison.axes]
    found.append(("runs", [str(len(setting.runs)) for setting in comparison.settings]))
    if comparison.chosen_by:
        found.append((comparison.chosen_by, [f"{value:.4f}" for value in comparison.chosen]))
    once = f" ({ONCE})" if comparison.once else ""
    found += [
        (
            name + once,
            [form(_shown(comparison, scores[name])) if name in scores else "" for scores in comparison.scores],
        )
        for name in comparison.metrics
    ]
    return found + _costs(comparison)


def _shown(comparison: Comparison, score: Score) -> Score:
    """Where another seed might turn every difference, none is marked."""
    return replace(score, mark="") if comparison.once else score


def terminal_tables(comparison: Comparison, console: Console) -> Iterator[Table]:
    """One table, or where the terminal is too narrow several with the same first columns, and what is to be said."""
    every = columns(comparison, _two_lines)
    names, rest = every[: len(comparison.axes) + 1], every[len(comparison.axes) + 1 :]
    unbounded = console.options.update(width=10_000)
    shown_now: list[Column] = []
    for column in rest:
        wider = _table(names, [*shown_now, column])
        if shown_now and Measurement.get(console, unbounded, wider).maximum > console.width:
            yield _table(names, shown_now)
            shown_now = []
        shown_now.append(column)
    yield _table(names, shown_now)
    if comparison.left_out:
        yield _left_out(comparison)


def write_csv(path: Path, comparison: Comparison) -> None:
    """A line for each setting with every number, then a line for each run that is left out, with its state."""
    header = [*comparison.axes, "state", "runs", "seeds", "folders", *filter(None, [comparison.chosen_by])]
    for name in comparison.metrics:
        parts = ("", "_sd", "_ci_low", "_ci_high", "_p", "_mark", "_visible", "_corrected")
        header += [f"{name}{part}" for part in parts]
    header += [*_guards(comparison), *COSTS, "left_out"]
    write_table(path, header, ([record.get(name, "") for name in header] for record in _records(comparison)))


def write_markdown(path: Path, comparison: Comparison) -> None:
    """A table for a document, the runs that are left out, and what a reader should know."""
    rows = zip(*([heading, "---", *cells] for heading, cells in columns(comparison, _one_line)), strict=True)
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    said = [legend(comparison).replace("* best", "**bold**: best"), "", *(f"- {note}" for note in comparison.notes)]
    said += [f"- left out: {run.label}: {reason}" for run, reason in comparison.left_out]
    text = "\n".join(" ".join(line.splitlines()) for line in [*lines, "", *said])
    write_whole(path, _MARKUP.sub(r"\\\g<0>", text) + "\n")


def _records(comparison: Comparison) -> Iterator[dict[str, object]]:
    for place, (setting, scores) in enumerate(zip(comparison.settings, comparison.scores, strict=True)):
        record: dict[str, object] = {axis: value_text(value) for axis, value in setting.values.items()}
        states = dict.fromkeys(run.state for run in setting.runs)
        record |= {"state": " ".join(states), "runs": len(setting.runs)}
        record["seeds"] = " ".join(value_text(run.recipe[SEED]) for run in setting.runs)
        record["folders"] = " ".join(run.label for run in setting.runs)
        if comparison.chosen_by:
            record[comparison.chosen_by] = comparison.chosen[place]
        for name, score in ((name, _shown(comparison, score)) for name, score in scores.items()):
            deviation = "" if score.deviation is None else score.deviation
            record |= {name: score.value, f"{name}_sd": deviation, f"{name}_p": score.p, f"{name}_mark": score.mark}
            low, high = ("" if end is None else end for end in (score.ci_low, score.ci_high))
            record |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
            corrected = "" if score.corrected is None else score.corrected
            record |= {f"{name}_visible": score.visible, f"{name}_corrected": corrected}
        guards = [run.guards(SPLIT) for run in setting.runs]
        for name in _guards(comparison):
            measured = [found[name]["value"] for found in guards if name in found]
            record |= {name: sum(measured) / len(measured)} if measured else {}
        yield record | setting.cost
    for run, reason in comparison.left_out:
        values = {axis: value_text(value) for axis, value in run.values(comparison.axes).items()}
        facts = {"state": run.state, "runs": 1, "seeds": value_text(run.recipe[SEED]), "folders": run.label}
        yield values | facts | run.cost | {"left_out": reason}


def _guards(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(name for s in comparison.settings for run in s.runs for name in run.guards(SPLIT)))


def _axis(comparison: Comparison, axis: str) -> list[str]:
    return [value_text(setting.values[axis]) if axis in setting.values else "" for setting in comparison.settings]


def _one_line(score: Score) -> str:
    value = f"**{score.value:.4f}**" if score.mark == "best" else f"{score.value:.4f}"
    sign = "" if score.mark == "best" else f" {SIGNS[score.mark]}".rstrip()
    said = f", {remark(score)}" if remark(score) else ""
    return f"{value}{_deviation(score)}{ends(score, ' [{:.4f}, {:.4f}]')}{sign}{said}"


def _two_lines(score: Score) -> str:
    value = f"{score.value:.4f}{_deviation(score)}{SIGNS[score.mark] or ' '}"
    value = f"[bold green]{value}[/]" if score.mark == "best" else value
    said = f"\n[dim]{remark(score)}[/] " if remark(score) else ""
    return f"{value}\n{ends(score, '[dim]{:.4f}..{:.4f}[/] ')}{said}"


def ends(score: Score, form: str) -> str:
    """The interval's, as `form` has them; empty where there is none."""
    return "" if score.ci_low is None else form.format(score.ci_low, score.ci_high)


def remark(score: Score) -> str:
    """What a cell says beside a score and its interval; empty where that is nothing."""
    if score.corrected is not None:
        return f"left {score.corrected:.4f}"
    return f"sees ≥{score.visible:.4f}" if score.mark == "tie" else ""


def _deviation(score: Score) -> str:
    return "" if score.deviation is None else f" ±{score.deviation:.4f}"


def _costs(comparison: Comparison) -> list[Column]:
    return [
        (HEADINGS[name], [_cost(setting, name) for setting in comparison.settings])
        for name in COSTS
        if any(name in setting.cost for setting in comparison.settings)
    ]


def _cost(setting: Setting, name: str) -> str:
    if name not in setting.cost:
        return ""
    value = setting.cost[name]
    return f"{value / 60:.1f}" if name.endswith("_seconds") else f"{value:,.0f}"


def _table(names: Sequence[Column], columns: Sequence[Column]) -> Table:
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, _ in [*names, *columns]:
        lines = (
            heading.replace(".", ".\n") if len(heading) > _LONG and "(" not in heading else heading.replace(" (", "\n(")
        )
        view.add_column(lines, justify="right", no_wrap=True)
    # Settings are text, whatever stands in them; scores are our own.
    cells: list[Sequence[str | Text]] = [column for _, column in names]
    cells += [[Text.from_markup(cell) for cell in column] for _, column in columns]
    for row in zip(*cells, strict=True):
        view.add_row(*row)
    return view


def _left_out(comparison: Comparison) -> Table:
    view = Table(title="Left out", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("run", "why"):
        view.add_column(heading, overflow="fold")
    for run, reason in comparison.left_out:
        view.add_row(run.label, reason)
    return view
