"""Weights & Biases' files of a run without network: a run that was stopped and went on is kept in several."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

_HEADER, _BLOCK, _CHUNK = 7, 32 * 1024, struct.Struct("<IHB")  # checksum, length, kind
_WHOLE, _FIRST, _LAST = 1, 2, 4


def segments(folder: Path, identity: str) -> list[Path]:
    """The files of one run, in the order in which they were begun."""
    return sorted(folder.glob(f"wandb/offline-run-*-{identity}/run-{identity}.wandb"))


def history(files: list[Path]) -> list[dict[str, Any]]:
    """What was logged, as it is on the dashboard once all are synced: a segment goes on from a step of those before."""
    rows: list[dict[str, Any]] = []
    for file in files:
        for record in records(file):
            if record.HasField("run") and record.run.HasField("branch_point"):
                rows = [row for row in rows if row["_step"] <= record.run.branch_point.value]
            if record.HasField("history"):
                items = record.history.item
                rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows


def records(file: Path) -> Iterator[Record]:
    """A file's records as far as they were written: LevelDB's log format, with W&B's own header."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    data = file.read_bytes()
    place, parts = _HEADER, b""
    while place + _CHUNK.size <= len(data):
        if (left := _BLOCK - place % _BLOCK) < _CHUNK.size:
            place += left  # a block's end that no chunk fits into is filled with zeros
            continue
        _, length, kind = _CHUNK.unpack_from(data, place)
        start, place = place + _CHUNK.size, place + _CHUNK.size + length
        if place > len(data):
            return  # killed while it wrote
        parts = data[start:place] if kind in (_WHOLE, _FIRST) else parts + data[start:place]
        if kind in (_WHOLE, _LAST):
            yield Record.FromString(parts)
