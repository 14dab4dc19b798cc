import re

import plotly.graph_objects as go
from markupsafe import Markup
from PIL import Image

from rococap.report.page import chart, html_table, page, picture


def test_a_page_fetches_nothing_and_carries_the_library_only_where_it_draws():
    figure = go.Figure(go.Bar(x=["a", "b"], y=[1, 2]))
    drawn = page("Run", "of one", [("Plot", chart(figure)), ("Sheet", picture(Image.new("L", (999, 10)), "a line"))])
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?!data:)", drawn) == []
    assert len(drawn) > 3_000_000
    assert len(page("Run", "of none", [("Text", Markup("<p>x</p>"))])) < 10_000


def test_text_from_data_is_shown_and_never_run():
    shown = page("<script>alert(1)</script>", "", [("T", html_table(["<b>"], [["<img onerror=x>", 1200, 0.5]]))])
    assert "<script>alert" not in shown and "<img onerror" not in shown
    assert '<td class="number">1,200</td>' in shown and '<td class="number">0.5000</td>' in shown
