"""What the doctor found, as sentences, as a table, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rococap.data.doctor.examination import Examination, Examined
from rococap.data.doctor.leaks import leaked
from rococap.data.licences import licences
from rococap.types import Example, Split

LEAKS: tuple[tuple[Split, Split], ...] = (("train", "test"), ("train", "valid"), ("valid", "test"))


@dataclass(frozen=True)
class Finding:
    """A sentence to act on; what is `wrong` spoils scores or loses images, what is `odd` is worth a look."""

    level: Literal["wrong", "odd", "right"]
    text: str


def findings(examination: Examination) -> list[Finding]:
    """All that is wrong or odd, the worst first."""
    found = [*_leaks(examination)]
    found += [Finding("wrong", f"{s} cannot be had: {_first_line(why)}") for s, why in examination.missing.items()]
    for split, examined in examination.splits.items():
        if unreadable := examined.looks.unreadable:
            found.append(Finding("wrong", _counted(split, list(unreadable), "images cannot be read; no run uses them")))
        found += [Finding("odd", _counted(split, names, what)) for what, names in examined.problems.items()]
        found += [Finding("odd", _counted(split, names, f"images are {what}")) for what, names in examined.odd.items()]
        twice = [name for group in examination.copies for name in group.of(split)[1:]]
        if twice:
            found.append(Finding("odd", _counted(split, twice, "images repeat another one of the split")))
    return sorted(found, key=lambda finding: finding.level != "wrong")


def _leaks(examination: Examination) -> Iterator[Finding]:
    for seen, held in LEAKS:
        there, here = leaked(examination.copies, seen, held)
        if here:
            of = len(examination.splits[held].examples)
            drop = f"data.drop_leaks=true leaves {len(there):,} images out of training"
            advice = drop if seen == "train" else "the best checkpoint would be chosen on them"
            text = f"LEAK: {len(here):,} of {of:,} {held} images also stand in {seen}; {advice}"
            yield Finding("wrong", text)


def overview(examination: Examination) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table with a column for each split."""
    splits = list(examination.splits.values())
    rows = [
        ["images", *(f"{len(e.examples):,}" for e in splits)],
        ["readable", *(f"{len(e.looks.ids):,}" for e in splits)],
        ["lie in", *(_most(_folders(e)) or "no files" for e in splits)],
        ["words: median, 95 %, most", *(spread(e.words) for e in splits)],
        ["tokens for this model", *("no tokenizer here" if e.tokens is None else spread(e.tokens) for e in splits)],
        ["captions not unique", *(f"{_repeating(examination, s):,}" for s in examination.splits)],
        ["median width x height", *(_size(e) for e in splits)],
        ["stored as", *(_most(_modes(e)) for e in splits)],
        ["with colours", *(_share(int(e.looks.rows["coloured"].sum()), len(e.looks.ids)) for e in splits)],
        ["with concepts", *(_share(sum(bool(x.concepts) for x in e.examples), len(e.examples)) for e in splits)],
        ["licences", *(_most(count_licences(e.examples)) for e in splits)],
    ]
    return ["", *examination.splits], rows


def count_licences(examples: Sequence[Example]) -> Counter[str]:
    """How often each is named, or several together; "none named" where no Creative Commons licence is."""
    return Counter(" or ".join(licences(example.attribution)) or "none named" for example in examples)


def spread(lengths: np.ndarray) -> str:
    """Median, 95th percentile and greatest value."""
    if not len(lengths):
        return "no captions"
    return ", ".join(f"{value:,.0f}" for value in (*np.quantile(lengths, (0.5, 0.95)), lengths.max()))


def as_json(examination: Examination) -> dict[str, Any]:
    """Everything that was found, with all ids."""
    copies = [{"members": group.members, "agreement": group.agreement} for group in examination.copies]
    return {
        "edition": examination.edition,
        "fingerprint": examination.fingerprint,
        "findings": [{"level": finding.level, "text": finding.text} for finding in findings(examination)],
        "splits": {split: _split(examined) for split, examined in examination.splits.items()},
        "missing": examination.missing,
        "leaks": {f"{seen} and {held}": leaked(examination.copies, seen, held)[0] for seen, held in LEAKS},
        "copies": copies,
        "repeated_captions": [{"caption": text, "images": names} for text, names in examination.repeated.items()],
    }


def _split(examined: Examined) -> dict[str, Any]:
    rows = examined.looks.rows
    cuis = Counter(concept.cui for example in examined.examples for concept in example.concepts)
    return {
        "images": len(examined.examples),
        "readable": len(examined.looks.ids),
        "unreadable": examined.looks.unreadable,
        "places": examined.places,
        "problems": dict(examined.problems),
        "odd_images": examined.odd,
        "captions": len(examined.words),
        "words": _quantiles(examined.words),
        "tokens": None if examined.tokens is None else _quantiles(examined.tokens),
        "width": _quantiles(rows["width"]),
        "height": _quantiles(rows["height"]),
        "modes": _modes(examined),
        "formats": _named(rows["format"]),
        "coloured": int(rows["coloured"].sum()),
        "with_concepts": sum(bool(example.concepts) for example in examined.examples),
        "concepts": dict(cuis.most_common()),
        "licences": count_licences(examined.examples),
    }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    shares = {"least": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "p99": 0.99, "most": 1.0}
    found = {name: round(float(np.quantile(values, share)), 1) for name, share in shares.items()}
    return {"mean": round(float(values.mean()), 2), **found}


def _named(values: np.ndarray) -> Counter[str]:
    return Counter(value.decode() or "unknown" for value in values.tolist())


def _modes(examined: Examined) -> Counter[str]:
    return _named(examined.looks.rows["mode"])


def _folders(examined: Examined) -> Counter[str]:
    return Counter({"/".join(Path(place).parts[-2:]): count for place, count in examined.places.items()})


def _repeating(examination: Examination, split: Split) -> int:
    return sum(where == split for holders in examination.repeated.values() for where, _ in holders)


def _size(examined: Examined) -> str:
    rows = examined.looks.rows
    return f"{np.median(rows['width']):,.0f} x {np.median(rows['height']):,.0f}" if len(rows) else "none readable"


def _most(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common(4))


def _share(count: int, of: int) -> str:
    return f"{count / of:.0%}" if of else "0%"


def _counted(split: Split, names: Sequence[str], what: str) -> str:
    some = ", ".join(names[:3])
    return f"{split}: {len(names):,} {what} ({some}{', ...' if len(names) > 3 else ''})"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
