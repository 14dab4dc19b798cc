"""The plots of a run's page: how scores are spread, where they are good, how they came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from plotly.graph_objects import Bar, Figure, Scatter

from rococap.evaluation.slices import kind_of
from rococap.report.page import chart
from rococap.runs.results import Row

_SMALL: dict[str, Any] = {"height": 250, "margin": {"l": 52, "r": 8, "t": 28, "b": 44}}


def distributions(scores: Mapping[str, Sequence[float]]) -> list[Markup]:
    """A histogram of each score over images, drawn from counts: a page of 10,000 images is as small as one of 100."""
    plots = []
    for name, values in scores.items():
        counts, edges = np.histogram(values, bins=30)
        centres = ((edges[:-1] + edges[1:]) / 2).round(4)
        bars = Bar(x=centres.tolist(), y=counts.tolist(), hovertemplate="about %{x}: %{y} images<extra></extra>")
        figure = Figure(bars, layout={"bargap": 0.05, "yaxis": {"title": "images"}})
        plots.append(_titled(name, figure))
    return plots


def by_part(rows: Sequence[Row], metric: str) -> list[Markup]:
    """One metric with its intervals in the parts of each kind; the line is its value on the whole split."""
    whole = next(row.value for row in rows if (row.slice, row.metric) == ("all", metric))
    parts = [row for row in rows if row.slice != "all" and row.metric == metric]
    plots = []
    for kind in dict.fromkeys(kind_of(row.slice) for row in parts):
        of_kind = [row for row in parts if kind_of(row.slice) == kind]
        points = Scatter(
            x=[f"{row.slice.partition('=')[2]}<br>({row.n:,})" for row in of_kind],
            y=[row.value for row in of_kind],
            mode="markers",
            marker={"size": 10},
            error_y={
                "array": [0 if row.ci_high is None else row.ci_high - row.value for row in of_kind],
                "arrayminus": [0 if row.ci_low is None else row.value - row.ci_low for row in of_kind],
            },
        )
        figure = Figure(points, layout={"yaxis": {"rangemode": "tozero"}})
        figure.add_hline(whole, line={"dash": "dot", "width": 1, "color": "#59636e"})
        plots.append(_titled(f"{metric} by {kind}", figure))
    return plots


def curves(epochs: Sequence[Mapping[str, str]], metrics: Sequence[str]) -> list[Markup]:
    """Losses and validation scores over epochs, from the rows of metrics.csv; BLEU-1 to 4 share a plot."""
    groups = {"loss": {"train": "train/loss", "valid": "val/loss"}}
    for name in metrics:
        groups.setdefault("bleu" if name.startswith("bleu_") else name, {})[name] = f"val/{name}"
    plots = []
    for title, columns in groups.items():
        lines = [_line(epochs, name, column) for name, column in columns.items() if any(r.get(column) for r in epochs)]
        if lines:
            axis = {"title": "epoch", "dtick": max(1, len(epochs) // 8)}
            plots.append(_titled(title, Figure(lines, layout={"xaxis": axis, "showlegend": len(lines) > 1})))
    return plots


def _line(epochs: Sequence[Mapping[str, str]], name: str, column: str) -> Scatter:
    points = [(int(row["epoch"]) + 1, float(row[column])) for row in epochs if row.get(column)]
    x, y = zip(*points, strict=True)
    return Scatter(x=x, y=y, mode="lines+markers", name=name)


def _titled(title: str, figure: Figure) -> Markup:
    return Markup("<figure><figcaption>{}</figcaption>{}</figure>").format(title, chart(figure, **_SMALL))
