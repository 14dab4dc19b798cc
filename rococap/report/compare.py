"""`compare.html`: many runs on one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

from rococap.compare.comparison import Comparison, Score
from rococap.compare.growth import described, growths
from rococap.compare.tables import columns, ends, legend, remark
from rococap.report.compare_charts import against_axes, against_costs, learning_curves, parallel
from rococap.report.growth_chart import growth_chart
from rococap.report.page import html_table, page
from rococap.report.side_by_side import side_by_side

_LEAD = Markup(
    "<strong class='warning'>Not for clinical use.</strong> {} runs of {} recipes, scored on the test split, the best "
    "{} first."
)
Section = tuple[str, Markup]


def compare_page(comparison: Comparison, title: str) -> str:
    """The page as text; it fetches nothing."""
    runs = sum(len(setting.runs) for setting in comparison.settings)
    lead = _LEAD.format(f"{runs:,}", f"{len(comparison.settings):,}", _first(comparison))
    return page(title, lead, _sections(comparison))


def _first(comparison: Comparison) -> str:
    return f"on valid, by {comparison.chosen_by}," if comparison.chosen_by else f"in {comparison.metrics[0]}"


def _sections(comparison: Comparison) -> Iterator[Section]:
    shown = columns(comparison, _cell)
    rows = list(zip(*(cells for _, cells in shown), strict=True))
    said = _paragraphs([legend(comparison), *comparison.notes])
    yield "What differed, and what came out", html_table([heading for heading, _ in shown], rows) + said
    if comparison.left_out:
        yield "Left out", html_table(["run", "why"], [(run.label, reason) for run, reason in comparison.left_out])
    for axis, drawn in against_axes(comparison):
        yield f"Score against {axis}", drawn
    if growing := {name: found for name in comparison.metrics if (found := growths(comparison, name))}:
        lines = [described(growth) for found in growing.values() for growth in found]
        yield "Scaling with data", growth_chart(growing) + _paragraphs(lines)
    if len(comparison.settings) > 1:
        yield "All settings at once", parallel(comparison)
    yield "Learning curves", learning_curves(comparison)
    for cost, drawn in against_costs(comparison):
        yield f"Score against {cost}", drawn
    yield "Captions side by side", side_by_side(comparison)


def _cell(score: Score) -> str:
    deviation = "" if score.deviation is None else f"\N{NO-BREAK SPACE}±{score.deviation:.4f}"
    form = {"best": "<strong>{}&nbsp;*</strong>", "tie": "{}&nbsp;=", "better": "{}&nbsp;+", "": "{}"}[score.mark]
    interval = Markup(ends(score, "<br><span class='small quiet'>{:.4f}&nbsp;..&nbsp;{:.4f}</span>"))
    said = Markup("<br><span class='small quiet'>{}</span>").format(remark(score)) if remark(score) else ""
    return Markup(form).format(f"{score.value:.4f}{deviation}") + interval + said


def _paragraphs(lines: Sequence[str]) -> Markup:
    return Markup("").join(Markup("<p class='small quiet'>{}</p>").format(escape(line)) for line in lines)
