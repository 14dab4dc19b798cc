"""What a run says of its captions beyond their scores, and evaluating it again on another split."""

import shutil

import pytest
from commands import ROOT, held

from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions
from rococap.runs.results import read_per_sample, read_results

GUARDS = {"unique_ratio", "repetition", "length_limit", "length_ratio", "common_share"}


def test_each_image_has_its_scores(finished):
    scores = read_per_sample(finished / "scores" / "test_per_sample.csv")
    assert list(scores) == [p.id for p in read_predictions(finished / "predictions" / "test.jsonl")]
    rows = read_results(finished / "evaluation_results.csv")
    whole = next(row for row in rows if (row.system, row.slice, row.metric) == ("model", "all", "cider"))
    assert sum(each["cider"] for each in scores.values()) / len(scores) == pytest.approx(whole.value)


def test_guards_are_watched_in_validation_and_at_the_end(finished):
    folder = RunFolder(finished)
    for row in folder.metrics():
        assert all(float(row[f"val/{name}"]) >= 0 for name in GUARDS)
    last = {guard["name"]: guard for guard in folder.state["guards"]["test"]}
    assert set(last) == GUARDS
    assert last["length_limit"]["value"] > 0.05  # 12 tokens are too few for any caption of the phantom
    assert "were cut at 12 tokens" in (finished / "train.log").read_text()


def test_another_split_is_evaluated_beside_the_first(finished, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(finished, copy, ignore=shutil.ignore_patterns("wandb"))
    done = run(ROOT / "scripts/evaluate.py", "--run", copy, "--split", "valid")
    assert done.returncode == 0, done.stderr
    assert "valid (8)" in done.stdout and "valid: " in done.stdout and "were cut at 12 tokens" in done.stdout
    assert {row.split for row in read_results(copy / "evaluation_results.csv")} == {"test", "valid"}
    assert (copy / "report_valid.html").is_file() and (copy / "scores" / "valid_per_sample.csv").is_file()
    for name in ("report.html", "scores/test_per_sample.csv", "predictions/test.jsonl"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes()
    assert set(RunFolder(copy).state["guards"]) == {"test", "valid"}


def test_a_run_that_is_going_on_is_not_evaluated(finished, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(finished, copy, ignore=shutil.ignore_patterns("wandb"))
    before = {file: file.stat().st_mtime_ns for file in copy.rglob("*") if file.is_file() and file.name != ".lock"}
    with held(copy):
        done = run(ROOT / "scripts/evaluate.py", "--run", copy, "--split", "valid")
    assert done.returncode == 2 and f"{copy}: a run is going on there" in done.stderr
    assert {file: file.stat().st_mtime_ns for file in before} == before and not list(copy.glob("*valid*"))
