"""Files of equally shaped arrays, memory-mapped, with a checksum for each row.

A chunk is `NAME.npy`, an array [rows, ...], and `NAME.json`, its ids and checksums. The second is written last: a
chunk without it does not count. Chunks are never changed, so reading needs no lock.
"""

from __future__ import annotations

import json
import logging
import uuid
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from rococap.data.kept.files import write_whole
from rococap.data.kept.folders import REMEDY
from rococap.types import Example

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """Where the array of one id lies."""

    chunk: Path
    number: int
    checksum: int

    def read(self) -> np.ndarray:
        """A read-only view; no byte is read from disk before it is used."""
        array: np.ndarray = _opened(self.chunk)[self.number]
        return array

    def intact(self) -> bool:
        """Whether the bytes are those that were written. Reads them all."""
        return _checksum(self.read()) == self.checksum


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(array.data)


@lru_cache(maxsize=4096)
def _opened(chunk: Path) -> np.ndarray:
    # A plain array over the mapping: numpy's memmap class is slow to index.
    return np.asarray(np.load(chunk, mmap_mode="r"))


def write_chunk(folder: Path, ids: Sequence[str], arrays: Sequence[np.ndarray]) -> None:
    """Add rows to a folder; raises UserError if the disk is full."""
    chunk = folder / f"{uuid.uuid4().hex}.npy"
    stacked = np.ascontiguousarray(np.stack(arrays))  # numpy saves a transposed array many times more slowly
    index = {"ids": list(ids), "checksums": [_checksum(array) for array in stacked]}
    write_whole(chunk, lambda file: np.save(file, stacked), REMEDY)
    write_whole(chunk.with_suffix(".json"), json.dumps(index), REMEDY)


def read_rows(folder: Path, shape: tuple[int, ...], dtype: type[np.generic], *, clear: bool = False) -> dict[str, Row]:
    """Id -> row of all chunks that are whole.

    Args:
        shape: of one row.
        clear: delete what is not whole. Only for the holder of the folder's lock.
    """
    rows: dict[str, Row] = {}
    if clear:
        for chunk in folder.glob("*.npy"):
            if not chunk.with_suffix(".json").exists():
                chunk.unlink()
    for path in sorted(folder.glob("*.json")):
        chunk = path.with_suffix(".npy")
        try:
            index = json.loads(path.read_bytes())
            ids, checksums = index["ids"], index["checksums"]
            array = _opened(chunk)
            if array.shape != (len(ids), *shape) or array.dtype != dtype or len(checksums) != len(ids):
                raise ValueError(f"holds {array.dtype} {array.shape}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged: what it held is prepared anew (%s)", chunk, error)
            if clear:
                path.unlink()
                chunk.unlink(missing_ok=True)
            continue
        for number, (name, checksum) in enumerate(zip(ids, checksums, strict=True)):
            rows[name] = Row(chunk, number, checksum)
    return rows


def intact(rows: dict[str, Row], examples: Sequence[Example], *, clear: bool = False) -> dict[str, Row]:
    """The rows of chunks in which every row of these examples has the bytes that were written.

    Args:
        clear: delete the other chunks. Only for the holder of the folder's lock.
    """
    asked = [rows[example.id] for example in examples if example.id in rows]
    with ThreadPoolExecutor() as pool:  # checksums are computed outside the interpreter's lock
        whole = list(pool.map(Row.intact, asked))
    damaged = {row.chunk for row, good in zip(asked, whole, strict=True) if not good}
    for chunk in damaged if clear else ():
        log.warning("%s was changed on disk: what it held is prepared anew", chunk)
        chunk.with_suffix(".json").unlink(missing_ok=True)
        chunk.unlink(missing_ok=True)
    return {name: row for name, row in rows.items() if row.chunk not in damaged}
