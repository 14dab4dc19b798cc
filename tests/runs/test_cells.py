"""What a spreadsheet would compute is text, numbers stay numbers, and we read back what was written."""

import csv

import numpy as np
import pytest

from rococap.runs.cells import cell, content
from rococap.runs.results import Row, read_per_sample, read_results, write_per_sample, write_results

EVIL = ["=1+1", '=HYPERLINK("http://evil","x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
EVIL += ["\uff1d1", "-", "=", "'=1", "''=1", "'-1", " -1".strip() + "a", "-1\n", "--1"]
PLAIN = [
    "",
    "ROCOv2_2023_test_000001",
    "'quoted'",
    "it's",
    "a=b",
    "1-2",
    "-1",
    "-0.25",
    "+3",
    "1e-05",
    "-inf",
    "'",
    "''",
]


@pytest.mark.parametrize("text", EVIL + PLAIN)
def test_text_comes_back(text):
    written = cell(text)
    assert content(written) == text and (written != text) == (text in EVIL)
    assert written[:1] not in "=+-@\t\r\n\uff1d" or text in PLAIN
    if written[:1] in tuple("+-"):
        float(written)


def test_numbers_stay(tmp_path):
    assert [cell(value) for value in (-1, -0.5, None, True)] == [-1, -0.5, None, True]


def test_ids_and_names_are_text_in_every_file(tmp_path):
    ids = ["=1+1", "-3", "@x", "plain"]
    write_per_sample(tmp_path, "test", ids, {"bleu": np.array([-0.5, 1, 2, 3]), "=evil": np.array([0.0, 0, 0, -1])})
    file = tmp_path / "scores" / "test_per_sample.csv"
    cells = list(csv.reader(file.open(newline="")))
    assert [row[0] for row in cells] == ["id", "'=1+1", "-3", "'@x", "plain"] and cells[1][1] == "-0.5"
    assert read_per_sample(file)["=1+1"] == {"bleu": -0.5, "=evil": 0.0} and list(read_per_sample(file)) == ids
    rows = [Row("test", "model", "=cmd|'/C calc'!A0", "bleu", -0.5, -1.0, None, 4, "-a|b")]
    write_results(tmp_path / "results.csv", rows)
    assert read_results(tmp_path / "results.csv") == rows
    assert "\ntest,model,'=cmd" in (tmp_path / "results.csv").read_text().replace("\r", "")
