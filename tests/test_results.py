import csv
import dataclasses
import io

import pytest
from rich.console import Console

from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.rouge_l import RougeL
from rococap.results import Row, read_results, score_predictions, table, write_results
from rococap.types import Prediction, UserError

METRICS = {"rouge_l": RougeL(), "bleu": Bleu(), "cider": Cider()}
PREDICTIONS = [
    Prediction("1", "chest x-ray of a man", ("x-ray of the chest",)),
    Prediction("2", "axial ct of the head", ("ct of the head", "a head ct")),
    Prediction("3", "mri of the left knee", ("mri of a knee",)),
]


def shown(rows):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table(rows))
    return console.export_text()


def test_rows_hold_score_blind_score_and_gain_with_intervals():
    rows = score_predictions(METRICS, PREDICTIONS, "test")
    values = {row.metric: row.value for row in rows}
    assert len(rows) == 3 * 6
    for name in ("bleu_1", "bleu_4", "rouge_l", "cider"):
        assert values[f"{name}_gain"] == pytest.approx(values[name] - values[f"{name}_blind"])
    for row in rows:
        assert (row.split, row.system, row.slice, row.n) == ("test", "model", "all", 3)
        assert row.ci_low <= row.ci_high
        assert row.signature.startswith("n:3|refs:1-2|split:test|")


def test_one_caption_for_every_image_gains_nothing():
    same = [dataclasses.replace(prediction, prediction="x-ray of the head") for prediction in PREDICTIONS]
    for row in score_predictions(METRICS, same, "test"):
        if row.metric.endswith("_gain"):
            assert (row.value, row.ci_low, row.ci_high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_a_lone_image_gets_neither_interval_nor_blind_score():
    rows = score_predictions({"rouge_l": RougeL()}, PREDICTIONS[:1], "test")
    assert [(row.metric, row.ci_low, row.ci_high) for row in rows] == [("rouge_l", None, None)]


def test_blind_scores_can_be_left_out():
    rows = score_predictions({"rouge_l": RougeL()}, PREDICTIONS, "test", with_blind=False)
    assert [row.metric for row in rows] == ["rouge_l"]
    assert rows[0].ci_low < rows[0].value < rows[0].ci_high


@pytest.mark.parametrize(
    ("references", "said"),
    [([(), (), ()], "Nothing to score: none of the 3"), ([("x",), (), (" ",)], "2 of 3 predictions .*: 2, 3")],
)
def test_captions_without_references_are_refused(references, said):
    bare = [dataclasses.replace(p, references=r) for p, r in zip(PREDICTIONS, references, strict=True)]
    with pytest.raises(UserError, match=said):
        score_predictions(METRICS, bare, "test")


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "evaluation_results.csv"
    rows = [
        Row("test", "model", "all", "bleu_1", 1 / 3, 0.1, 0.5, 37, "n:37|tok:ptb"),
        Row("test", "base", "CT, head", "facts", 0.0, None, None, 2, ""),
    ]
    write_results(path, rows)
    assert read_results(path) == rows
    with path.open(newline="") as file:
        header = next(csv.reader(file))
    assert header == ["split", "system", "slice", "metric", "value", "ci_low", "ci_high", "n", "signature"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,y", "no row of results"),
        ("test,model,all,cider,nan,,,3,n:3", "a score is nan"),
        ("test,model,all,cider,high,,,3,n:3", "could not convert string to float: 'high'"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path, line, said):
    path = tmp_path / "evaluation_results.csv"
    write_results(path, [Row("test", "model", "all", "bleu_1", 0.5, None, None, 3, "")])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match=rf"evaluation_results.csv, line 3: .*{said}"):
        read_results(path)


def test_another_table_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"other.csv, line 2: .*'split'"):
        read_results(tmp_path / "other.csv")


def test_the_table_shows_four_decimals_a_line_for_each_metric():
    rows = [
        Row("test", "nearest", "all", name, value, low, high, 9927, "s")
        for name, value, low, high in (
            ("cider", 1.23456, 1.0, 1.5),
            ("cider_blind", 0.1, 0.05, 0.2),
            ("cider_gain", -1.13456, -1.4, -0.9),
            ("facts", 0.5, None, None),
        )
    ]
    lines = [line.split() for line in shown(rows).splitlines()]
    assert ["nearest", "(9,927)"] in lines
    assert ["cider", "1.2346", "1.0000", "..", "1.5000", "0.1000", "-1.1346", "-1.4000", "..", "-0.9000"] in lines
    assert ["facts", "0.5000"] in lines


def test_scores_of_different_signatures_share_no_table():
    rows = [
        Row("test", system, "all", "cider", 1.0, None, None, n, f"n:{n}|idf:{n}")
        for system, n in (("model", 9), ("base", 8))
    ]
    with pytest.raises(UserError, match=r"cider: .*cannot be compared \(n: 9, 8; idf: 9, 8\)"):
        table(rows)
