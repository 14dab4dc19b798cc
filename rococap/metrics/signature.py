"""How a score was computed, as one short string in the style of sacrebleu: `n:500|refs:1|split:test|tok:ptb|...`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from rococap.data.ids import bare_id
from rococap.metrics.base import Metric

OF_SYSTEM = ("threshold", "vote", "prompt")  # fields that say how texts were made, not how they are scored
FACTS = ("judged",)  # fields that say when scores were made: no other score follows from that
_VERSION = re.compile(r"\d+(\.\d+){2,}(\.?(post|rc|a|b|dev)\d+)*(\+.*)?")
REVISION = 1  # of rococap's own scoring; raised when a score changes


def signature(
    metric: Metric,
    split: str,
    ids: Sequence[str],
    references: Sequence[Sequence[str]],
    scored: int | None = None,
    groups: int | None = None,
    system: Sequence[str] = (),
) -> str:
    """Of one metric's scores on these images. Equal signatures mean comparable scores.

    Args:
        references: what the captions were compared with, see `Metric.truth`.
        groups: patients or articles that the images are of, which are resampled as wholes; None where each is its own.
        system: fields that say how the texts were made: they tell systems apart, not ways to score.
        scored: of how many images these are a part, which were scored together; they are all where left out.
    """
    counts = sorted({len(texts) for texts in references})
    fields = [
        f"n:{len(ids)}",
        f"refs:{counts[0]}" if len(counts) == 1 else f"refs:{counts[0]}-{counts[-1]}",
        f"split:{split}",
        *([] if groups is None else [f"group:{groups}"]),
        *([] if metric.part == "all" else [f"part:{metric.part}"]),
        metric.tokenizer.name,
        *metric.settings(scored or len(ids)),
        *(f"{package}:{version(package)}" for package in metric.scorers),
        f"rococap:{REVISION}",
        f"data:{fingerprint(ids, references)}",
        *system,
    ]
    return "|".join(fields)


def fingerprint(ids: Sequence[str], references: Sequence[Sequence[str]]) -> str:
    """8 hex digits of ids and references, in whatever order, with or without extensions and outer blanks."""
    pairs = sorted(
        [known_id(name), sorted(text.strip() for text in texts)] for name, texts in zip(ids, references, strict=True)
    )
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:8]


def known_id(name: str) -> str:
    """What two ids of one image have in common."""
    return bare_id(name.strip())


def _weighty(value: str) -> str:
    """A version without its patch, which mends and changes no score; any other value as it is."""
    return ".".join(value.split(".")[:2]) if _VERSION.fullmatch(value) else value


def difference(signatures: Iterable[str]) -> str:
    """What keeps scores of these signatures out of one column, such as `n: 500, 9927`; empty where nothing does."""
    parsed = [dict(field.partition(":")[::2] for field in text.split("|")) for text in dict.fromkeys(signatures)]
    parsed = [
        {name: _weighty(value) for name, value in fields.items() if name not in (*OF_SYSTEM, *FACTS)}
        for fields in parsed
    ]
    names = dict.fromkeys(name for fields in parsed for name in fields)
    values = {name: list(dict.fromkeys(fields.get(name, "none") for fields in parsed)) for name in names}
    return "; ".join(f"{name}: {', '.join(found)}" for name, found in values.items() if len(found) > 1)
