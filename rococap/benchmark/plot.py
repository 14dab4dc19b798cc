"""The picture of a benchmark."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from rococap.benchmark import train
from rococap.report.page import chart, page


def plot(what: str, result: dict[str, Any]) -> str:
    """A self-contained HTML page of one bar a side."""
    sides = result["sides"]
    bars = go.Figure(go.Bar(x=list(sides.values()), y=list(sides), orientation="h")) if what != "train" else None
    drawn = train.figure(result) if bars is None else bars.update_layout(xaxis_title="seconds")
    figures = [f"{name.replace('_', ' ')} {value:,.2f}" for name, value in result.items() if isinstance(value, float)]
    return page(f"Benchmark: {what}", "; ".join(figures), [("Seconds", chart(drawn, 300))])
