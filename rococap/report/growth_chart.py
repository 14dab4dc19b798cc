"""The chart of scaling curves: what was measured, the fitted law with its band, its forecast, and what it misses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from markupsafe import Markup
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from rococap.compare.growth import Growth
from rococap.compare.power_law import Forecast
from rococap.report.compare_charts import colour, menu
from rococap.report.page import chart

Trace = tuple[Scatter, int]  # and its row: 1 the curve, 2 the residuals


def growth_chart(growths: Mapping[str, Sequence[Growth]]) -> Markup:
    """By metric, chosen by a menu: curves above, residuals below, on one logarithmic axis of the data's share."""
    figure: Figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.06)
    names = []
    for name, of_metric in growths.items():
        for index, growth in enumerate(of_metric):
            for trace, row in _traces(growth, colour(index)):
                trace.visible = name == next(iter(growths))
                figure.add_trace(trace, row=row, col=1)
                names.append(name)
    ticks = sorted({float(f) for each in growths.values() for growth in each for f in growth.points.fractions} | {1.0})
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:.3g}" for tick in ticks])
    figure.update_layout(
        xaxis2={"title": "share of the training images"},
        yaxis={"title": next(iter(growths))},
        yaxis2={"title": "residual", "zeroline": True, "zerolinecolor": "#59636e"},
        updatemenus=menu(names),
    )
    return chart(figure, height=520, legend={"orientation": "h", "yanchor": "top", "y": -0.15, "x": 0})


def _traces(growth: Growth, hue: str) -> Iterator[Trace]:
    points = growth.points
    label = f"{growth.label}: " if growth.label else ""
    texts = [f"seed {seed}, subset {subset}" for seed, subset in zip(points.seeds, points.subset_seeds, strict=True)]
    dots = {"mode": "markers", "text": texts, "hovertemplate": "%{text}<br>%{x}: %{y:.4f}<extra></extra>"}
    marker = {"color": hue, "size": 7, "symbol": "circle-open"}
    yield Scatter(x=points.fractions, y=points.scores, name=f"{label}runs", marker=marker, **dots), 1
    if growth.forecast is not None:
        yield from ((trace, 1) for trace in _curve(growth.forecast, label, hue, float(points.fractions.max())))
        residuals = growth.forecast.residuals
        yield Scatter(x=points.fractions, y=residuals, marker=marker, showlegend=False, **dots), 2


def _curve(forecast: Forecast, label: str, hue: str, most: float) -> Iterator[Scatter]:
    """Whole as far as there are runs, dashed where it forecasts."""
    x, y = forecast.fractions, forecast.curve(forecast.fractions)
    band = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([forecast.high, forecast.low[::-1]])}
    quiet = {"line": {"width": 0}, "fillcolor": f"rgba({_rgb(hue)}, .13)", "hoverinfo": "skip"}
    yield Scatter(**band, fill="toself", name=f"{label}95 % band", **quiet)
    line = {"color": hue, "width": 1.6}
    inside = x <= most * (1 + 1e-9)
    yield Scatter(x=x[inside], y=y[inside], mode="lines", line=line, name=f"{label}fitted law")
    value, low, high = forecast.whole
    if most < 1:
        yield Scatter(x=x[~inside], y=y[~inside], mode="lines", line={**line, "dash": "dash"}, showlegend=False)
        ends = {"array": [high - value], "arrayminus": [value - low]}
        yield Scatter(
            x=[1.0],
            y=[value],
            error_y=ends,
            mode="markers",
            marker={"color": hue, "size": 11, "symbol": "star"},
            name=f"{label}forecast for all of the data",
            hovertemplate="forecast %{y:.4f}<extra></extra>",
        )


def _rgb(hue: str) -> str:
    return ", ".join(str(int(hue[start : start + 2], 16)) for start in (1, 3, 5))
