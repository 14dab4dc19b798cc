"""Which published dataset a copy is: by its counts, and by how its ids begin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from rococap.types import Split

Counts = Mapping[Split, int]

ZENODO = "ROCOv2 (Zenodo, record 10821435)"
MIRROR = "ROCOv2 (mirror eltorio/ROCOv2-radiology on Hugging Face)"
# Zenodo: Rückert et al. 2024. ImageCLEF 2025: 116,635 images.
PUBLISHED: dict[str, Counts] = {
    ZENODO: {"train": 59_958, "valid": 9_904, "test": 9_927},
    MIRROR: {"train": 59_962, "valid": 9_904, "test": 9_927},
    "ImageCLEFmedical Caption 2025": {"train": 80_091, "valid": 17_277, "test": 19_267},
}
_BEGINNING = re.compile(r"(ROCOv2)_20\d\d_|ImageCLEFmedical(?:_Caption)?_(20\d\d)_")
_MOST = 0.9  # of the ids, that a dataset counts as theirs


def edition(ids: Mapping[Split, Sequence[str]]) -> str:
    """One sentence: the edition, a part of it, or that it is unknown."""
    counts: Counts = {split: len(names) for split, names in ids.items()}
    family = _family([name for names in ids.values() for name in names])
    for name, published in PUBLISHED.items():
        if counts == published:
            ours = family and family in name
            return f"{name}, whole" if ours else f"The counts are those of {name}, but the ids are others"
    if not family:
        return "Unknown edition: neither counts nor ids are those of a published one"
    known = next((name for name in PUBLISHED if family in name), None)
    if known is None:
        return f"{family} by its ids; no published counts are known here to hold it against"
    published = PUBLISHED[known]
    compared = ", ".join(f"{split} {counts.get(split, 0):,} of {count:,}" for split, count in published.items())
    more = any(counts.get(split, 0) > count for split, count in published.items())
    return f"{known} by its ids, with other counts: {compared}" if more else f"A part of {known}: {compared}"


def _family(ids: Sequence[str]) -> str:
    """The word by which names in `PUBLISHED` are found; empty if the ids are of no or of several families."""
    begun = [found for name in ids if (found := _BEGINNING.match(name))]
    families = Counter(found[1] or f"ImageCLEFmedical Caption {found[2]}" for found in begun)
    family, count = families.most_common(1)[0] if families else ("", 0)
    return family if count >= _MOST * len(ids) else ""
