"""Cells of CSV files, which a spreadsheet may open: it computes what begins like a formula, whoever wrote it."""

from __future__ import annotations

import re

# OWASP's list (CSV Injection), full-width forms included, behind any number of apostrophes.
_FORMULA = re.compile("'*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")


def cell(value: object) -> object:
    """A value as it is written: text that begins like a formula, and is no number, behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value) else value


def content(text: str) -> str:
    """The text that `cell` wrote."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text, 1) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text
