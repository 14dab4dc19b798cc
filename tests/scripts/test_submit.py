import csv
import io
import shutil
import zipfile

import pytest
from commands import ROOT

from rococap.runs.folder import RunFolder

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
