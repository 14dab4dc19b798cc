"""A study's result for the terminal and as CSV, and every answer with whose caption it was of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from rococap.runs.results import write_table
from rococap.study.key import Key
from rococap.study.returned import Answers
from rococap.study.scores import Estimate, Outcome
from rococap.study.sheet import PLACE, SCALES

RESULTS, UNBLINDED = "results.csv", "unblinded.csv"


def terminal_tables(outcome: Outcome) -> list[Table]:
    """Preferences, ratings, and where there are several readers how far they agree."""
    of = f"{outcome.images:,} images, {len(outcome.readers)} reader{'s' * (len(outcome.readers) > 1)}"
    preferences = _table(f"preferences ({of})", "system", "over", "share", "95 % CI", "wins", "ties", "losses")
    for each in outcome.preferences:
        counts = map(str, (each.wins, each.ties, each.losses))
        mark = " *" if each.differs else ""
        preferences.add_row(each.first, each.second, f"{each.share.value:.2f}{mark}", _ends(each.share), *counts)
    headings = [heading for scale in SCALES for heading in (scale, "95 % CI")]
    ratings = _table("ratings, 1 to 5", "system", *headings)
    for system in next(iter(outcome.ratings.values())):
        each_scale = [outcome.ratings[scale][system] for scale in SCALES]
        ratings.add_row(system, *(cell for each in each_scale for cell in (f"{each.value:.2f}", _ends(each))))
    agreement = _table("agreement (Krippendorff)", "scale", "alpha", "95 % CI")
    for scale, found in outcome.agreement.items():
        agreement.add_row(scale, "all are the same" if np.isnan(found.value) else f"{found.value:.2f}", _ends(found))
    return [preferences, ratings, *([agreement] if outcome.agreement else [])]


def legend(outcome: Outcome) -> str:
    """What the numbers mean, and do not."""
    drawn = f"intervals are over images ({outcome.groups:,} patients or articles), for these readers"
    if outcome.groups == outcome.images:
        drawn = "intervals are over images, for these readers"
    share = "share: of readings, ties half; *: it is not one half, all pairs together at 5 %"
    return f"{share}; {drawn}. Not for clinical use."


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """`results.csv`: a number a line."""
    rows: list[tuple[object, ...]] = []
    for each in outcome.preferences:
        rows.append(("preferred", each.first, each.second, *_numbers(each.share)))
    for scale, by_system in outcome.ratings.items():
        rows += [(scale, system, "", *_numbers(estimate)) for system, estimate in by_system.items()]
    rows += [(f"alpha_{scale}", "", "", *_numbers(estimate)) for scale, estimate in outcome.agreement.items()]
    counts = (outcome.images, outcome.groups, len(outcome.readers))
    header = ("measure", "system", "over", "value", "ci_low", "ci_high", "images", "groups", "readers")
    write_table(folder / RESULTS, header, ((*row, *counts) for row in rows))


def write_unblinded(folder: Path, key: Key, answers: Sequence[Answers]) -> None:
    """`unblinded.csv`: a line for each reader and system of each image."""
    captions = [(entry, caption) for entry in key.entries for caption in entry.captions]
    rows = [
        (entry.id, each.reader, system, *(int(each.values[name][row]) for name in (PLACE, *SCALES)), caption.text)
        for each in answers
        for row, (entry, caption) in enumerate(captions)
        for system in caption.systems
    ]
    write_table(folder / UNBLINDED, ("id", "reader", "system", PLACE, *SCALES, "caption"), rows)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for place, heading in enumerate(headings):
        name = not place or heading == "over"
        table.add_column(heading, justify="left" if name else "right", overflow="fold", no_wrap=not name)
    return table


def _ends(estimate: Estimate) -> str:
    return "" if estimate.low is None or estimate.high is None else f"{estimate.low:.2f} to {estimate.high:.2f}"


def _numbers(estimate: Estimate) -> tuple[object, ...]:
    value = "" if np.isnan(estimate.value) else estimate.value
    return (value, *("" if end is None else end for end in (estimate.low, estimate.high)))
