"""The columns of tables as ROCOv2's and ImageCLEF's editions call them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rococap.data.delimited import Table, read_cells
from rococap.types import UserError

# What editions call a column, in lower case. An id column may also say whose id: "ImageCLEFmedical 2025 ID".
COLUMNS = {
    "ID": ("id",),
    "Caption": ("caption", "captions"),
    "CUIs": ("cuis", "cui", "concepts"),
    "CUI": ("cui", "concept"),
    "Canonical name": ("canonical name", "concept_name", "name"),
    "PMCID": ("pmcid",),
    "Attribution": ("attribution",),
    "Link": ("link",),
}


def read_table(path: Path, *columns: str) -> Table:
    """Read some columns, as `read_cells` reads all.

    Args:
        columns: keys of `COLUMNS`.

    Raises:
        UserError: as `read_cells`, or the file lacks a column.
    """
    header, cells = read_cells(path)
    positions = [_position(path, header, column) for column in columns]
    return Table([tuple(fields[position] for position in positions) for fields in cells.rows], cells.bad_lines)


def _position(path: Path, header: Sequence[str], column: str) -> int:
    names = [name.lower() for name in header]
    for position, name in enumerate(names):
        if name in COLUMNS[column] or (column == "ID" and name.endswith(" id")):
            return position
    found = ", ".join(header) or "nothing: the file is empty"
    raise UserError(f"{path} has no column {column!r}; its first line holds {found}.\nGive it the header line.")
