"""The page of what a copy of a dataset holds: pictures of what stands in it twice and of what is odd; histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape
from plotly.graph_objects import Bar, Figure

from rococap.data.doctor.examination import Examination
from rococap.data.doctor.leaks import Copies
from rococap.data.image import read
from rococap.report.doctor_summary import count_licences, findings, overview
from rococap.report.page import chart, html_table, page, picture
from rococap.types import Example, Split

SHOWN = 12  # groups, images or lines of a kind; the rest is in report.json
MEMBERS = 4  # of a group

Found = dict[Split, np.ndarray]


def doctors_page(examination: Examination, root: str) -> str:
    """The whole page as text.

    Args:
        root: where the dataset lies, as the user said it.
    """
    lead = f"{examination.edition}. {root}; fingerprint {examination.fingerprint[:16]}"
    return page("What this copy holds", lead, _sections(examination))


def _sections(examination: Examination) -> Iterator[tuple[str, Markup]]:
    images = {(s, e.id): e for s, examined in examination.splits.items() for e in examined.examples}
    yield "Findings", _findings(examination)
    yield "Splits", html_table(*overview(examination)) + _places(examination)
    between = [group for group in examination.copies if len({split for split, _ in group.members}) > 1]
    within = [group for group in examination.copies if group not in between]
    if between:
        yield "Leaks: one image in several splits", _groups(between, images)
    if within:
        yield "Images that stand in a split more than once", _groups(within, images)
    if odd := _odd(examination, images):
        yield "Odd images", odd
    if lost := _left_out(examination):
        yield "Left out", lost
    yield "Captions", _captions(examination)
    yield "Images", _images(examination)
    yield "Concepts", _concepts(examination)
    named = [count_licences(e.examples) for e in examination.splits.values()]
    yield "Licences", _counts("licence", list(examination.splits), named)


def _findings(examination: Examination) -> Markup:
    colours = {"wrong": "wrong", "odd": "warning"}
    lines = [Markup('<li class="{}">{}</li>').format(colours[f.level], f.text) for f in findings(examination)]
    return Markup("<ul>{}</ul>").format(Markup("").join(lines)) if lines else Markup("<p>Nothing is wrong.</p>")


def _places(examination: Examination) -> Markup:
    rows = [[s, place, count] for s, examined in examination.splits.items() for place, count in examined.places.items()]
    return (
        Markup("<h3>Where the images lie</h3>") + html_table(["split", "place", "images"], rows) if rows else Markup()
    )


def _groups(groups: Sequence[Copies], images: Mapping[tuple[Split, str], Example]) -> Markup:
    """A card for each group, those with test images first."""
    first = sorted(groups, key=lambda group: (not group.of("test"), not group.of("valid")))[:SHOWN]
    cards = []
    for group in first:
        alike = "equal in every pixel" if group.agreement == 1 else f"agreement {group.agreement:.3f}"
        shown = Markup("").join(_figure(split, images[split, name]) for split, name in group.members[:MEMBERS])
        more = _more(len(group.members) - MEMBERS)
        cards.append(Markup('<div class="card"><b>{}</b>{}{}</div>').format(alike, shown, more))
    return _cards(cards) + _more(len(groups) - SHOWN)


def _odd(examination: Examination, images: Mapping[tuple[Split, str], Example]) -> Markup:
    parts = []
    for split, examined in examination.splits.items():
        for what, names in examined.odd.items():
            cards = [
                Markup('<div class="card">{}</div>').format(_figure(split, images[split, name]))
                for name in names[:SHOWN]
            ]
            parts.append(Markup("<h3>{}: {}</h3>").format(split, what) + _cards(cards) + _more(len(names) - SHOWN))
    return Markup("").join(parts)


def _figure(split: Split, example: Example) -> Markup:
    caption = example.captions[0] if example.captions else ""
    short = caption if len(caption) <= 90 else f"{caption[:90]} ..."
    shown = picture(read(example.image), f"{split} image {example.id}", side=280)
    return Markup('{}<p><code>{}</code> {}</p><p class="quiet">{}</p>').format(shown, example.id, split, short)


def _left_out(examination: Examination) -> Markup:
    rows: list[list[object]] = []
    for split, examined in examination.splits.items():
        unreadable = examined.looks.unreadable
        rows += [[split, name, reason] for name, reason in list(unreadable.items())[:SHOWN]]
        if len(unreadable) > SHOWN:
            rows.append([split, "...", f"{len(unreadable) - SHOWN:,} more in report.json"])
        for what, names in examined.problems.items():
            rest = f", and {len(names) - SHOWN:,} more in report.json" if len(names) > SHOWN else ""
            rows.append([split, ", ".join(names[:SHOWN]) + rest, f"{len(names):,} {what}"])
    return html_table(["split", "which", "why"], rows) if rows else Markup()


def _captions(examination: Examination) -> Markup:
    words = {split: examined.words for split, examined in examination.splits.items() if len(examined.words)}
    tokens = {split: examination.splits[split].tokens for split in words}
    content = _histogram(words, "words a caption")
    if all(lengths is not None for lengths in tokens.values()):
        content += _histogram({s: lengths for s, lengths in tokens.items() if lengths is not None}, "tokens a caption")
    rows = [
        [caption if len(caption) <= 120 else f"{caption[:120]} ...", len(holders), ", ".join(_where(holders))]
        for caption, holders in list(examination.repeated.items())[:SHOWN]
    ]
    if rows:
        content += Markup("<h3>Captions of several images</h3>") + html_table(["caption", "images", "splits"], rows)
        content += _more(len(examination.repeated) - SHOWN)
    return content


def _where(holders: Iterable[tuple[Split, str]]) -> list[str]:
    return [f"{split} {count:,}" for split, count in Counter(split for split, _ in holders).items()]


def _images(examination: Examination) -> Markup:
    rows = {split: examined.looks.rows for split, examined in examination.splits.items() if examined.looks.ids}
    longer = {split: np.maximum(seen["width"], seen["height"]) for split, seen in rows.items()}
    stored = [
        Counter(f"{kind.decode() or 'unknown'}, {mode.decode()}" for kind, mode in seen[["format", "mode"]].tolist())
        for seen in rows.values()
    ]
    return _histogram(longer, "pixels of the longer side") + _counts("stored as", list(rows), stored)


def _concepts(examination: Examination) -> Markup:
    names: dict[str, str] = {}
    counts: dict[Split, Counter[str]] = {}
    for split, examined in examination.splits.items():
        concepts = [concept for example in examined.examples for concept in example.concepts]
        names |= {concept.cui: concept.name for concept in concepts if concept.name}
        counts[split] = Counter(concept.cui for concept in concepts)
    if not any(counts.values()):
        return Markup("<p>This copy names none.</p>")
    unseen = [cui for cui in counts.get("test", ()) if cui not in counts.get("train", ())]
    note = Markup("<p>{} concepts; {} of the test images' are not among training's.</p>").format(
        f"{len(set().union(*counts.values())):,}", f"{len(unseen):,}"
    )
    return note + _counts("concept", list(counts), list(counts.values()), lambda cui: f"{names.get(cui, '')} {cui}")


def _counts(
    what: str, splits: Sequence[Split], counts: Sequence[Counter[str]], label: Callable[[str], str] = str
) -> Markup:
    """A row for each of the most frequent values, a column for each split."""
    total = sum(counts, Counter[str]())
    rows = [[label(value), *(each[value] for each in counts)] for value, _ in total.most_common(SHOWN)]
    return html_table([what, *splits], rows) + _more(len(total) - SHOWN)


def _histogram(lengths: Mapping[Split, np.ndarray], title: str) -> Markup:
    """Shares of each split's values; the longest hundredth stands in the last bar."""
    if not lengths:
        return Markup()
    joined = np.concatenate(list(lengths.values()))
    edges = np.unique(np.linspace(joined.min(), np.quantile(joined, 0.99) + 1, 31).round().astype(int))
    figure = Figure()
    for split, values in lengths.items():
        counts, _ = np.histogram(np.minimum(values, edges[-1]), bins=edges)
        figure.add_trace(Bar(x=edges[:-1].tolist(), y=(counts / max(1, len(values))).tolist(), name=split))
    figure.update_layout(barmode="group", xaxis_title=title, yaxis_title="share of the split", yaxis_tickformat=".0%")
    return chart(figure, height=320)


def _cards(cards: Sequence[Markup]) -> Markup:
    return Markup('<div class="cards">{}</div>').format(Markup("").join(cards))


def _more(count: int) -> Markup:
    return Markup('<p class="quiet">{} more in report.json</p>').format(escape(f"{count:,}")) if count > 0 else Markup()
