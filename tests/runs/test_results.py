import csv
import io

import numpy as np
import pytest
from rich.console import Console

from rococap.runs.results import Row, read_per_sample, read_results, write_per_sample, write_results
from rococap.runs.terminal import score_table
from rococap.types import UserError


def shown(rows, width=120):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(score_table(rows))
    return console.export_text()


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


SYSTEMS = ("model", "base", "common", "nearest", "prior")


def of_the_split(names, systems=SYSTEMS, split="test", n=9927):
    """Rows as a run leaves them: blind score and gain of the model alone."""
    for system in systems:
        for name in names:
            yield Row(split, system, "all", name, 1.23456, 1.0, 1.5, n, "s")
            if system == "model":
                yield Row(split, system, "all", f"{name}_blind", 0.1, 0.05, 0.2, n, "s")
                yield Row(split, system, "all", f"{name}_gain", -1.13456, -1.4, -0.9, n, "s")


def test_the_table_shows_a_metric_a_line_and_other_systems_beside_the_model():
    lines = [line.split() for line in shown([*of_the_split(["cider", "facts"])]).splitlines()]
    assert " ".join(lines[0]) == "(images) score 95 % CI blind gain 95 % CI base common nearest prior"
    assert ["test", "(9,927)"] in lines
    cells = ["1.2346", "1.000..1.500", "0.1000", "-1.1346", "-1.400..-0.900", *["1.2346"] * 4]
    assert ["cider", *cells] in lines and ["facts", *cells] in lines


def test_splits_follow_each_other_and_parts_of_them_stay_out():
    part = Row("test", "model", "modality=CT", "cider", 9.0, None, None, 20, "another")
    text = shown([*of_the_split(["cider"], ["model"]), part, *of_the_split(["cider"], ["model"], "valid", 50)])
    assert text.index("test (9,927)") < text.index("valid (50)")
    assert text.count("cider") == 2 and "9.0000" not in text and "common" not in text


def test_the_table_fits_into_100_columns_with_every_system_and_the_longest_names():
    names = ["bleu_1", "meteor", "concept_dictionary_f1"]
    widths = {len(line.rstrip()) for line in shown([*of_the_split(names)], width=200).splitlines()}
    assert max(widths) <= 100
    assert all(name in shown([*of_the_split(names)], width=100) for name in names)


def test_scores_without_interval_or_blind_score_leave_no_columns_for_them():
    text = shown([Row("test", "model", "all", "facts", 0.5, None, None, 1, "s")])
    lines = [line.split() for line in text.splitlines()]
    assert ["(images)", "score", "95", "%", "CI"] in lines and ["facts", "0.5000"] in lines


def test_scores_of_different_signatures_share_no_table():
    rows = [
        Row("test", system, "all", "cider", 1.0, None, None, n, f"n:{n}|idf:{n}")
        for system, n in (("model", 9), ("base", 8))
    ]
    with pytest.raises(UserError, match=r"cider: .*cannot be compared \(n: 9, 8; idf: 9, 8\)"):
        score_table(rows)


def test_scores_of_each_image_are_written_whole_and_read_back(tmp_path):
    scores = {"cider": np.array([0.1, 1 / 3]), "facts": np.array([1.0, 0.0])}
    write_per_sample(tmp_path, "test", ["a", "b,c"], scores)
    file = tmp_path / "scores/test_per_sample.csv"
    assert list(file.parent.iterdir()) == [file]
    assert file.read_text().splitlines()[0] == "id,cider,facts"
    assert read_per_sample(file) == {"a": {"cider": 0.1, "facts": 1.0}, "b,c": {"cider": 1 / 3, "facts": 0.0}}
    with pytest.raises(ValueError):
        write_per_sample(tmp_path, "test", ["a"], scores)
    assert len(read_per_sample(file)) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [("c,nan,0", "a score is nan"), ("c,0.5", "NoneType"), ("c,x,1", "float: 'x'"), ("c,1,2,3", "list")],
)
def test_a_line_that_holds_no_scores_is_named(tmp_path, line, said):
    write_per_sample(tmp_path, "test", ["a", "b"], {"cider": np.zeros(2), "facts": np.zeros(2)})
    file = tmp_path / "scores/test_per_sample.csv"
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(UserError, match=f"test_per_sample.csv, line 4: .*{said}"):
        read_per_sample(file)
