"""Creative Commons licences as attributions name them."""

from __future__ import annotations

import re

_NAMED = re.compile(
    r"\bCC[ -]?(?:0|ZERO|(?P<terms>BY(?:[ -](?:NC|ND|SA))*))\b|creativecommons\.org/licenses/(?P<link>[a-z-]+)",
    re.IGNORECASE,
)


def licences(attribution: str) -> list[str]:
    """`CC BY-NC`, `CC0` and the like, without their versions, each once and in the order in which they are named."""
    found = []
    for match in _NAMED.finditer(attribution):
        terms = match["terms"] or match["link"]
        found.append("CC0" if terms is None else f"CC {'-'.join(re.split('[ -]', terms.upper()))}")
    return list(dict.fromkeys(found))
