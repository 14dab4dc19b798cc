"""Lengths of time as people write them: `15min`, `1h30min`, `45s`, and the Trainer's `DD:HH:MM:SS`."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+):(\d+)")
SAID = "a time such as 15min, 1h30min or 45s"


def seconds(value: Any) -> float | None:
    """Seconds of a duration; None for null, or for anything that is none.

    A mapping holds arguments of `datetime.timedelta`, as the Trainer takes it.
    """
    if isinstance(value, dict):
        try:
            return timedelta(**{str(key): part for key, part in value.items()}).total_seconds()
        except (TypeError, OverflowError):
            return None
    if not isinstance(value, str):
        return None
    if clock := _CLOCK.fullmatch(value):
        parts = zip(clock.groups(), (86400, 3600, 60, 1), strict=True)
        return float(sum(int(part or 0) * size for part, size in parts))
    total, place = 0.0, 0
    while part := _PART.match(value, place):
        if part[2] not in _SECONDS:
            return None
        total, place = total + float(part[1]) * _SECONDS[part[2]], part.end()
    return total if place == len(value) and place and math.isfinite(total) else None
