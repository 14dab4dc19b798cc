"""Lists of concepts, as tables of any kind hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NONE = {"", "nan", "none", "null"}  # what pandas and others leave in an empty cell


def cuis(cells: Iterable[str | None]) -> list[str]:
    """The concepts of some cells, each once: `C1;C2`, `C1|C2`, or a list as Python or JSON prints it.

    A comma parts CUIs alone (C and seven digits, see the UMLS reference manual), for names of concepts hold commas too.
    """
    found = []
    for cell in cells:
        text = (cell or "").strip()
        if re.fullmatch(r"[\[{(].*[\])}]", text):
            found += re.split(r"[,;\s]+", re.sub(r"[\[\](){}'\"]", " ", text))
        elif re.fullmatch(r"C\d{7}([,\s]+C\d{7})+", text):
            found += re.split(r"[,\s]+", text)
        else:
            found += re.split(r"[;|]", text)
    return list(dict.fromkeys(each for name in found if (each := name.strip()).lower() not in _NONE))
