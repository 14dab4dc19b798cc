"""The doctor and preparer as a user starts it, on a dirty copy of drawn images."""

from __future__ import annotations

import json
import shutil

import pytest
from commands import ROOT, command
from dirty import dirty

PREPARE = ROOT / "scripts" / "prepare.py"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return tmp_path_factory.mktemp("prepare")


@pytest.fixture(scope="module")
def prepare(here):
    """Run it there; with a hub's cache of its own, in which there is no model."""
    environment = {"COLUMNS": "120", "HF_HOME": str(here / "cache" / "hub")}
    return lambda *words: command(
        PREPARE, *words, cwd=here, cache=here / "cache", environment=environment, kind="light"
    )


@pytest.fixture(scope="module")
def done(here, prepare):
    dirty(here / "data")
    words = ["data=rocov2", "data.root=data", "data.allow_missing=true", "model=tiny", "data.fraction=1"]
    return prepare(*words, "--out", "report")


def test_it_prints_a_page_and_writes_reports_and_nothing_else(done, here):
    assert done.returncode == 0 and done.stderr == "", done.stderr
    report = json.loads((here / "report/report.json").read_text(encoding="utf-8"))
    splits = report["splits"]
    [row] = [line for line in done.stdout.splitlines() if line.startswith("│ images")]
    counts = [str(splits[split]["images"]) for split in ("train", "valid", "test")]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["images", *counts]
    for finding in report["findings"]:
        assert finding["text"][:60] in done.stdout
    assert "<h2>Findings</h2>" in (here / "report/report.html").read_text(encoding="utf-8")
    assert {path.name for path in here.iterdir()} == {"data", "cache", "report"}
    assert {path.name for path in (here / "report").iterdir()} == {"report.html", "report.json"}


@pytest.mark.slow
def test_training_then_decodes_nothing_and_drops_what_was_found(done, here):
    """The same words: the images' cache stays as it is, and leaks are known."""
    before = {path: path.stat().st_mtime_ns for path in (here / "cache").rglob("*.npy")}
    words = ["data.root=data", "model=tiny", "data.fraction=1", "data.drop_leaks=true", "features=off", "metrics=[]"]
    words += [
        "data.allow_missing=true",
        "trainer.max_epochs=1",
        "data.batch_size=64",
        "decoding.max_new_tokens=2",
        "logger=[csv]",
        "name=first",
    ]
    run = command(ROOT / "train.py", *words, cwd=here, cache=here / "cache")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "train: 5 images that also stand in valid or test are left out" in run.stdout
    assert {path: path.stat().st_mtime_ns for path in (here / "cache").rglob("*.npy")} == before
    environment = json.loads((here / "multirun/first/environment.json").read_text(encoding="utf-8"))
    assert environment["data"] == json.loads((here / "report/report.json").read_text(encoding="utf-8"))["fingerprint"]
    other = [word.replace("drop_leaks=true", "drop_leaks=false") for word in words]
    refused = command(ROOT / "train.py", *other, cwd=here, cache=here / "cache")
    assert refused.returncode == 2 and "data.drop_leaks was True, is False" in refused.stderr
    shutil.rmtree(here / "multirun")


def test_a_model_that_is_not_here_is_not_downloaded(done, here, prepare):
    seen = prepare("data.root=data", "--out", "again")
    assert seen.returncode == 0, seen.stderr
    assert "nothing is downloaded for a report" in seen.stdout
    report = json.loads((here / "again/report.json").read_text(encoding="utf-8"))
    assert report["splits"]["train"]["tokens"] is None
    assert not list((here / "cache" / "hub").rglob("*.json"))
    shutil.rmtree(here / "again")


def test_caches_are_listed_and_cleared(done, here, prepare):
    listed = prepare("--caches", "list").stdout
    assert f"Caches in {here / 'cache'}" in listed and "decoded images" in listed and "examined images" in listed
    assert "MB" in listed and "hours ago" in listed
    cleared = prepare("--caches", "clear").stdout
    assert cleared.count("cleared") == listed.count("hours ago")
    assert "hours ago" not in prepare("--caches", "list").stdout
    assert not list((here / "cache").rglob("*.npy"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.frction=1", "data.root=1"], "data.fraction"),
        (["data=rocov3"], "rocov2"),
        (["hydra.run.dir=x"], "--out DIR"),
        (["data.root=nowhere"], "10821435"),
        (["data=phantom", "--out", "file/below"], "--out DIR"),
    ],
)
def test_mistakes_are_answered(words, said, here, prepare):
    (here / "file").touch()
    refused = prepare(*words)
    assert refused.returncode == 2 and refused.stderr.startswith("error: ") and said in refused.stderr
    assert "Traceback" not in refused.stderr and len(refused.stderr.splitlines()) < 9
    (here / "file").unlink()
