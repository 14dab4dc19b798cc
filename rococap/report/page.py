"""Self-contained HTML pages: one stylesheet, one charting library, nothing fetched from a network."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from PIL import Image
from plotly.graph_objects import Figure
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from rococap.data.image import to_rgb

COLOURS = ("#0969da", "#bf8700", "#1a7f37", "#8250df", "#cf222e", "#1b7c83", "#6e7781")  # of lines and bars, in turn
_TAG = re.compile(r"<(?!br>)(?=[a-zA-Z/!])")
_AXIS = {"gridcolor": "#ebf0f8", "linecolor": "#ebf0f8", "zerolinecolor": "#ebf0f8", "automargin": True}
# Plotly's own templates go into each chart whole: hundreds of settings, most of them for charts of other kinds.
_LOOKS = {
    "layout": {
        "colorway": COLOURS,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#2a3f5f"},
        "hovermode": "closest",
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
}


def page(title: str, lead: str, sections: Iterable[tuple[str, Markup]]) -> str:
    """A whole page as text.

    Args:
        lead: a line or two below the title: what is shown, and of what.
        sections: heading and content of each part; contents come from the functions below, or a template.
    """
    parts = list(sections)
    charts = any("plotly-graph-div" in content for _, content in parts)
    library = Markup(get_plotlyjs()) if charts else None
    return template("page").render(title=title, lead=lead, sections=parts, library=library)


@cache
def template(name: str) -> Template:
    """`NAME.html` beside this file; what is put into it is escaped unless it is Markup."""
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(f"{name}.html")


def chart(figure: Figure, height: int = 380, **layout: Any) -> Markup:
    """A plot that can be zoomed and pointed at, as wide as the page; `height` in pixels; `layout` is Plotly's."""
    usual: dict[str, Any] = {
        "template": _LOOKS,
        "height": height,
        "margin": {"l": 56, "r": 16, "t": 40, "b": 48},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    }
    drawn = figure.to_dict()
    drawn["layout"] |= usual | layout  # as plain values: what Figure checks of each costs more than all the rest
    drawn = _as_text(drawn)
    settings = {"responsive": True, "displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}
    return Markup(to_html(drawn, config=settings, include_plotlyjs=False, full_html=False, validate=False))


def _as_text(drawn: Any) -> Any:
    """A chart whose names and labels are text. Plotly takes some tags in them for its own, links too.

    Our own templates have tags; a line may be broken anywhere.
    """
    if isinstance(drawn, dict):
        return {key: each if key == "hovertemplate" else _as_text(each) for key, each in drawn.items()}
    if isinstance(drawn, list | tuple):
        return [_as_text(each) for each in drawn]
    return _TAG.sub("&lt;", drawn) if isinstance(drawn, str) else drawn


NUMBER = ' class="number"'


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; cells that are numbers stand on the right. Wide ones scroll by themselves."""
    rows = [list(row) for row in rows]
    columns = list(zip_longest(*rows, fillvalue=""))
    numbers = [
        any(map(_is_number, cells)) and all(_is_number(cell) or cell == "" for cell in cells) for cells in columns
    ]
    kinds = dict(zip(range(len(header)), numbers, strict=False))
    head = "".join(f"<th{NUMBER * kinds.get(place, False)}>{escape(name)}</th>" for place, name in enumerate(header))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return Markup(f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _cell(value: object) -> str:
    kind = NUMBER if _is_number(value) else ""
    text = f"{value:,}" if isinstance(value, int) else f"{value:z.4f}" if isinstance(value, float) else value
    return f"<td{kind}>{escape(text)}</td>"


def picture(image: Image.Image, alt: str, side: int = 320) -> Markup:
    """An image in any mode, inlined as JPEG, shrunk to at most `side` pixels."""
    small = to_rgb(image)
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return Markup('<img loading="lazy" alt="{}" src="data:image/jpeg;base64,{}">').format(alt, data)
