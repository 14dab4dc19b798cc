import csv
import io
import shutil
import zipfile

import numpy as np
import pytest
from commands import ROOT

from rococap.evaluation.detected import most_probable
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions
from rococap.runs.probabilities import Probabilities

SUBMIT = ROOT / "scripts/submit.py"


def rows(path):
    with zipfile.ZipFile(path) as archive:
        return list(csv.reader(io.StringIO(archive.read("submission.csv").decode())))


def test_a_run_is_submitted_in_its_datasets_order(finished, run, place):
    done = run(SUBMIT, "--run", finished, "--split", "test", "--out", place / "one.zip")
    assert done.returncode == 0, done.stderr
    assert "6 captions" in done.stdout
    header, *lines = rows(place / "one.zip")
    assert header == ["ID", "Caption"]
    assert len(lines) == 6
    ids = place / "ids.csv"
    ids.write_text("ID,Caption\n" + "".join(f"{name}.jpg,\n" for name, _ in reversed(lines)))
    done = run(SUBMIT, finished / "predictions/test.jsonl", "--ids", ids, "--out", place / "two.zip")
    assert done.returncode == 0, done.stderr
    assert rows(place / "two.zip")[1:] == [[f"{name}.jpg", caption] for name, caption in reversed(lines)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--run", "RUN", "--split", "valid"], "valid.jsonl is not there.\nMake it: python scripts/evaluate.py"),
        (["--run", "nowhere"], "nowhere is no run's folder"),
        (["RUN/predictions/test.jsonl"], "--ids FILE"),
        (["RUN/predictions/test.jsonl", "--ids", "other.csv"], "another split"),
        ([], "give --run DIR"),
        (["--run", "RUN", "--out", "other.csv/new.zip"], "cannot be written"),
    ],
)
def test_a_mistake_is_named(finished, run, place, words, said):
    (place / "other.csv").write_text("ID\nx1\nx2\n")
    done = run(SUBMIT, *(word.replace("RUN", str(finished)) for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_caption_is_named(finished, run, place, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    file = copy / "predictions/test.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    RunFolder(copy).seal("predictions/test.jsonl")
    done = run(SUBMIT, "--run", copy, "--out", tmp_path / "none.zip")
    assert done.returncode == 2
    assert "1 official ids have no caption" in done.stderr
    assert not (tmp_path / "none.zip").exists()


def test_a_detectors_concepts_are_submitted(detected, run, place):
    done = run(SUBMIT, "--run", detected, "--split", "test", "--out", place / "concepts.zip")
    assert done.returncode == 0 and "30 lists of concepts" in done.stdout, done.stderr
    header, *lines = rows(place / "concepts.zip")
    said = {p.id: p.prediction for p in read_predictions(detected / "predictions" / "test.jsonl")}
    assert header == ["ID", "CUIs"] and dict(lines) == said
    table, ids = place / "sets.csv", place / "official.csv"
    table.write_text("ID,CUIs\nb,c2;C1\na,\n")
    ids.write_text("ID\na\nb\n")
    done = run(SUBMIT, table, "--ids", ids, "--out", place / "sets.zip")
    assert done.returncode == 0 and "2 lists of concepts, 1 of them empty" in done.stdout, done.stderr
    assert rows(place / "sets.zip")[1:] == [["a", ""], ["b", "C2;C1"]]


def test_more_than_a_hundred_concepts_are_the_most_probable_ones():
    cuis = tuple(f"C{number}" for number in range(120))
    values = np.linspace(0, 1, 120, dtype=np.float32)[None]
    found = Probabilities(("a",), cuis, values, np.zeros(120, np.float32))
    assert most_probable({"a": ";".join(cuis)}, found, 100) == {"a": ";".join(cuis[20:])}
    assert most_probable({"a": "C1;C2"}, found, 100) == {"a": "C1;C2"}
