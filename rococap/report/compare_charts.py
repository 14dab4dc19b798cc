"""The charts of a comparison: scores against what was swept and against what they cost, and how they came to be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from plotly.graph_objects import Figure, Parcoords, Scatter

from rococap.compare.comparison import Comparison, Score
from rococap.compare.runs import COSTS, SEED, Run, Setting, value_text
from rococap.report.page import COLOURS, chart

COST_TITLES = {
    "training_seconds": "seconds of training",
    "captioning_seconds": "seconds of captioning the test split",
    "wall_seconds": "wall time in seconds",
    "rss_mib": "peak memory in MiB",
    "gpu_mib": "peak GPU memory in MiB",
    "trainable_parameters": "trainable parameters",
}
Axis = dict[str, Any]  # a layout of Plotly's
_NAMED = 6  # lines that a legend may name; the others say their name when pointed at


def against_axes(comparison: Comparison) -> Iterator[tuple[str, Markup]]:
    """For each swept axis every metric against it: means with intervals, a dot for each seed's run.

    A line joins settings that differ in nothing else, but for axes that go with this one.
    """
    for axis in comparison.axes:
        layout = axis_layout(axis, [setting.values[axis] for setting in comparison.settings if axis in setting.values])
        traces = {name: list(_lines(comparison, axis, name)) for name in comparison.metrics}
        yield axis, chosen(traces, layout)


def against_costs(comparison: Comparison) -> Iterator[tuple[str, Markup]]:
    """For each cost every metric against it."""
    for cost in COSTS:
        having = [index for index, setting in enumerate(comparison.settings) if cost in setting.cost]
        if having:
            found = [comparison.settings[index].cost[cost] for index in having]
            layout = {"title": COST_TITLES[cost], "type": "log" if max(found) > 10 * min(found) > 0 else "linear"}
            traces = {
                name: [_points(comparison, index, name, comparison.settings[index].cost[cost]) for index in having]
                for name in comparison.metrics
            }
            yield COST_TITLES[cost], chosen(traces, layout)


def learning_curves(comparison: Comparison) -> Markup:
    """What metrics.csv holds, run by run; a colour for each setting."""
    traces: dict[str, list[Scatter]] = {}
    for index, setting in enumerate(comparison.settings):
        for run in setting.runs:
            rows = run.folder.metrics()
            for name in (name for name in (rows[0] if rows else ()) if name.startswith(("val/", "train/"))):
                traces.setdefault(name, []).append(_curve(run, setting, index, rows, name))
    order = [f"val/{comparison.metrics[0]}", "val/loss", "train/loss"]
    first = [name for name in order if name in traces]
    rest = [name for name in traces if name not in order]
    epochs = max(len(trace.x) for group in traces.values() for trace in group)
    every = {"dtick": 1} if epochs <= 12 else {}
    return chosen({name: traces[name] for name in first + rest}, {"title": "epoch", **every})


def parallel(comparison: Comparison) -> Markup:
    """Settings as lines through all axes, costs and metrics; drag along an axis to choose lines."""
    rows = [index for index, scores in enumerate(comparison.scores) if set(scores) == set(comparison.metrics)]
    settings = [comparison.settings[index] for index in rows]
    dimensions = [_dimension(axis, [s.values.get(axis, "") for s in settings]) for axis in comparison.axes]
    for cost in COSTS:
        if all(cost in setting.cost for setting in settings):
            dimensions.append({"label": cost, "values": [setting.cost[cost] for setting in settings]})
    for name in comparison.metrics[::-1]:
        dimensions.append({"label": name, "values": [comparison.scores[index][name].value for index in rows]})
    line = {"color": dimensions[-1]["values"], "colorscale": "Viridis"}
    figure = Figure(Parcoords(dimensions=dimensions, line=line, labelangle=-20))
    drawn = chart(figure, height=420, margin={"l": 70, "r": 70, "t": 110, "b": 20})
    return Markup('<div class="wide"><div style="min-width: {}px">{}</div></div>').format(110 * len(dimensions), drawn)


def chosen(traces: Mapping[str, Sequence[Scatter]], x: Axis) -> Markup:
    """One chart for many values, of which a menu chooses one."""
    figure = Figure([trace for group in traces.values() for trace in group])
    names = [name for name, group in traces.items() for _ in group]
    first = next(iter(traces))
    for trace, name in zip(figure.data, names, strict=True):
        trace.visible = name == first
    figure.update_layout(xaxis=x, yaxis={"title": first}, updatemenus=menu(names))
    named = sum(trace.visible and trace.showlegend is not False for trace in figure.data)
    below = {"orientation": "h", "yanchor": "top", "y": -0.22, "x": 0}
    return chart(figure, height=360 + 22 * min(named, _NAMED), legend=below)


def menu(names: Sequence[str]) -> list[Axis]:
    """Chooses among the names that a chart's traces have, in their order, and shows those of one."""
    buttons = [
        {
            "label": name,
            "method": "update",
            "args": [{"visible": [other == name for other in names]}, {"yaxis.title.text": name}],
        }
        for name in dict.fromkeys(names)
    ]
    return [{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}] if len(buttons) > 1 else []


def axis_layout(title: str, values: Sequence[Any]) -> Axis:
    """A logarithmic axis for numbers that are spaced so, a linear one for other numbers, else one of words."""
    if not all(_is_number(value) for value in values):
        return {"title": title, "type": "category"}
    ticks = sorted({float(value) for value in values})
    kind = "log" if _is_log_spaced(ticks) else "linear"
    few = {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]} if len(ticks) <= 8 else {}
    return {"title": title, "type": kind, **few}


def colour(index: int) -> str:
    """Of the n-th line."""
    return COLOURS[index % len(COLOURS)]


def _lines(comparison: Comparison, axis: str, name: str) -> Iterator[Scatter]:
    groups: dict[str, list[int]] = {}
    free = [other for other in comparison.axes if not _go_together(comparison, axis, other)]
    for index, setting in enumerate(comparison.settings):
        if axis in setting.values and name in comparison.scores[index]:
            rest = {other: setting.values[other] for other in free if other in setting.values}
            groups.setdefault(" ".join(f"{a}={value_text(v)}" for a, v in rest.items()), []).append(index)
    for number, (label, indices) in enumerate(groups.items()):
        indices = sorted(indices, key=lambda index: _order(comparison.settings[index].values[axis]))
        x = [_place(comparison.settings[index].values[axis]) for index in indices]
        scores = [comparison.scores[index][name] for index in indices]
        yield _means(x, scores, label, colour(number), [comparison.settings[index].label for index in indices])
        yield _runs(x, [comparison.settings[index] for index in indices], scores, colour(number))


def _go_together(comparison: Comparison, axis: str, other: str) -> bool:
    """Whether two axes are one: each value of one comes with one value of the other."""
    pairs = {(value_text(s.values.get(axis, "")), value_text(s.values.get(other, ""))) for s in comparison.settings}
    return len(pairs) == len({value for value, _ in pairs}) == len({value for _, value in pairs})


def _means(x: Sequence[Any], scores: Sequence[Score], label: str, hue: str, hover: Sequence[str]) -> Scatter:
    return Scatter(
        x=x,
        y=[score.value for score in scores],
        error_y={
            "array": [0 if score.ci_high is None else score.ci_high - score.value for score in scores],
            "arrayminus": [0 if score.ci_low is None else score.value - score.ci_low for score in scores],
            "thickness": 1.2,
        },
        mode="lines+markers",
        marker={"size": 9, "color": hue},
        line={"width": 1.2, "color": hue},
        name=label,
        showlegend=bool(label),
        text=hover,
        hovertemplate="%{text}<br>%{y:.4f}<extra></extra>",
    )


def _runs(x: Sequence[Any], settings: Sequence[Setting], scores: Sequence[Score], hue: str) -> Scatter:
    """Dots of the single runs, where a setting has several."""
    dots = [
        (place, score.samples[run.label].value, f"{run.label}, seed {value_text(run.recipe[SEED])}")
        for place, setting, score in zip(x, settings, scores, strict=True)
        for run in setting.runs
        if run.label in score.samples and len(score.samples) > 1
    ]
    return Scatter(
        x=[place for place, _, _ in dots],
        y=[value for _, value, _ in dots],
        text=[label for _, _, label in dots],
        mode="markers",
        marker={"size": 6, "symbol": "circle-open", "color": hue},
        showlegend=False,
        hovertemplate="%{text}<br>%{y:.4f}<extra></extra>",
    )


def _points(comparison: Comparison, index: int, name: str, x: float) -> Scatter:
    setting = comparison.settings[index]
    if name not in comparison.scores[index]:
        return Scatter(x=[], y=[], showlegend=False)
    points = _means([x], [comparison.scores[index][name]], setting.label, colour(index), [setting.label])
    points.showlegend = len(comparison.settings) <= _NAMED
    return points


def _curve(run: Run, setting: Setting, index: int, rows: Sequence[Mapping[str, str]], name: str) -> Scatter:
    known = [row for row in rows if row.get(name)]
    return Scatter(
        x=[int(row["epoch"]) + 1 for row in known],
        y=[float(row[name]) for row in known],
        mode="lines+markers",
        marker={"size": 4},
        line={"width": 1.4, "color": colour(index)},
        name=setting.label,
        legendgroup=setting.label,
        showlegend=run is setting.runs[0] and index < _NAMED,
        meta=f"{run.label}: {setting.label}, seed {value_text(run.recipe[SEED])}",
        hovertemplate="%{meta}<br>%{y:.4f}<extra></extra>",
    )


def _dimension(axis: str, values: Sequence[Any]) -> Axis:
    """An axis of parallel coordinates; words and logarithms stand at numbers that are written over."""
    if not all(_is_number(value) for value in values):
        words = list(dict.fromkeys(value_text(value) for value in values))
        places = [words.index(value_text(value)) for value in values]
        return {"label": axis, "values": places, "tickvals": list(range(len(words))), "ticktext": words}
    ticks = sorted({float(value) for value in values})
    scale = math.log10 if _is_log_spaced(ticks) else float
    written = {"tickvals": [scale(tick) for tick in ticks], "ticktext": [f"{tick:g}" for tick in ticks]}
    return {"label": axis, "values": [scale(value) for value in values], **(written if len(ticks) <= 8 else {})}


def _is_log_spaced(ticks: Sequence[float]) -> bool:
    """Whether the steps between three or more positive numbers are more alike as ratios than as differences."""
    if len(ticks) < 3 or ticks[0] <= 0:
        return False
    steps = [np.diff(values) for values in (np.array(ticks), np.log(ticks))]
    linear, ratio = (float(step.std() / step.mean()) for step in steps)
    return ratio < linear


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _place(value: Any) -> Any:
    return value if _is_number(value) else value_text(value)


def _order(value: Any) -> tuple[float, str]:
    return (float(value), "") if _is_number(value) else (math.inf, value_text(value))
