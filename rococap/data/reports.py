"""Radiologists' reports as captions: some of their sections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# As MIMIC-CXR's own section_parser.py finds headings: a line's capitals up to a colon.
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z ()/,-]+):", re.MULTILINE)


def sections(report: str) -> dict[str, str]:
    """The text of each section of a plain report, by its heading in lower case, on one line.

    A heading that stands for two, such as `FINDINGS AND IMPRESSION`, gives its text to the first.
    """
    parts = _HEADING.split(report)
    found: dict[str, str] = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        name = re.split(r" AND |/", heading.strip())[0].strip().lower()
        words = " ".join(text.split())
        found[name] = f"{found[name]} {words}" if name in found else words
    return found


def caption(found: Mapping[str, str], wanted: Iterable[str]) -> tuple[str, ...]:
    """The wanted sections of a report after one another, as an image's captions; none where it has none of them."""
    text = " ".join(" ".join(found[name].split()) for name in wanted if found.get(name))
    return (text,) if text else ()
