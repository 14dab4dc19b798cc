"""What workers have in common: JSON on standard input, JSON on standard output, whatever libraries print.

A request is `{"settings": {...}, "pairs": [[reference, caption], ...]}`, without pairs where only is asked whether all
is there. An answer is `{"facts": [...], "scores": [...], "why": "..."}`: of each pair numerators and denominators by
score, or null where there is none, and then what was wrong.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

Pair = tuple[str, str]
# Of each pair, numerators and denominators; None where there is no score.
Scores = Sequence[tuple[Sequence[float], Sequence[float]] | None]


def answer(load: Callable[[dict[str, Any], bool], tuple[Callable[[list[Pair]], Scores], list[str]]]) -> None:
    """Answer one request.

    Args:
        load: from settings, and whether anything will be scored, to what scores, and fields of a signature.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    request = json.loads(sys.stdin.buffer.read())
    pairs = [(reference, caption) for reference, caption in request["pairs"]]
    score, facts = load(request["settings"], bool(pairs))
    scores, why = _scored(score, pairs) if pairs else ([], "")
    json.dump({"facts": facts, "scores": scores, "why": why}, out)
    out.close()


def of_one(values: Sequence[float | None]) -> Scores:
    """Scores of a metric with one name, whose score of many is their mean."""
    return [None if value is None else ((value,), (1.0,)) for value in values]


def _scored(score: Callable[[list[Pair]], Scores], pairs: list[Pair]) -> tuple[list[Any], str]:
    """All at once; where that fails, one by one, so that it is known which of them cannot be scored."""
    try:
        scores, why = list(score(pairs)), ""
        if len(scores) != len(pairs):
            raise ValueError(f"{len(scores)} scores of {len(pairs)} pairs")
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, RuntimeError) as error:
        if len(pairs) == 1:
            return [None], f"{type(error).__name__}: {error}"[:200]
        found = [_scored(score, [pair]) for pair in pairs]
        if all(each[0] == [None] for each in found):
            raise
        scores, why = [each for some, _ in found for each in some], next((reason for _, reason in found if reason), "")
    whole = [
        each if each is not None and all(math.isfinite(v) for side in each for v in side) else None for each in scores
    ]
    return whole, why or ("the metric gave no number" if None in whole else "")
