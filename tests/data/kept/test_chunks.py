"""Rows on disk are read where index and array agree, and nowhere else."""

import json

import numpy as np
import pytest

from rococap.data.kept.chunks import read_rows, write_chunk

SHAPE = (2, 3)


def torn(content):
    """An index that a row was lost from."""
    return {"ids": content["ids"][:1], "checksums": content["checksums"][:1]}


def unsigned(content):
    """An index that lost a checksum."""
    return {**content, "checksums": content["checksums"][:1]}


@pytest.mark.parametrize(
    ("change", "shape", "dtype"),
    [(torn, SHAPE, "f4"), (unsigned, SHAPE, "f4"), (dict, (3, 2), "f4"), (dict, SHAPE, "f2"), (dict, SHAPE, "i4")],
)
def test_what_is_not_as_asked_is_left_out_and_cleared_by_who_may(change, shape, dtype, tmp_path, caplog):
    write_chunk(tmp_path, ["a", "b"], [np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32)])
    rows = read_rows(tmp_path, SHAPE, np.float32)
    assert list(rows) == ["a", "b"] and all(row.intact() for row in rows.values())
    [index] = tmp_path.glob("*.json")
    index.write_text(json.dumps(change(json.loads(index.read_text()))))
    assert read_rows(tmp_path, shape, np.dtype(dtype).type) == {}
    assert "is damaged" in caplog.text and index.exists()
    assert read_rows(tmp_path, shape, np.dtype(dtype).type, clear=True) == {} and list(tmp_path.iterdir()) == []
