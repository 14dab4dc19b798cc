"""The page of a real run, in full and with less to show; that it fetches nothing, and that it opens in a browser."""

import json
import re
import shutil
import subprocess

import pytest

from rococap.data.phantom.source import Phantom
from rococap.recipe.parts import best_captioner
from rococap.recipe.recipe import Recipe
from rococap.report.run import report
from rococap.runs.folder import RunFolder
from rococap.runs.results import Row, read_results, write_results

LIMIT = 12_000_000  # bytes
SECTIONS = ["Scores", "Guards", "Where it is good", "Scores of single images", "Training"]


def headings(path):
    return re.findall(r"<h2>(.*?)</h2>", path.read_text(encoding="utf-8"))


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run, to be changed, and its test images."""
    shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("wandb", "adapter"))
    source = RunFolder(tmp_path / "run").config.data.source
    examples = Phantom(source.train, source.valid, source.test, source.seed).examples("test")
    return RunFolder(tmp_path / "run"), examples


def test_a_run_ends_with_its_page(finished):
    path = finished / "report.html"
    text = path.read_text(encoding="utf-8")
    looks = "Does it look at the finding?"
    assert headings(path) == [*SECTIONS, looks, "Images, by cider", "Recipe"]
    assert "Not for clinical use" in text and len(text.encode()) < LIMIT
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?!data:)", text) == []
    value = next(row.value for row in read_results(finished / "evaluation_results.csv") if row.metric == "cider")
    assert f"{value:.4f}" in text and "<figcaption>" in text
    warned = [guard["warning"] for guard in RunFolder(finished).state["guards"]["test"] if guard["warning"]]
    assert all(warning.replace("'", "&#39;") in text for warning in warned)
    assert list(finished.glob("wandb/*/files/media/html/report*.html"))


def test_other_systems_and_parts_are_shown(copied):
    folder, examples = copied
    file = folder.path / "evaluation_results.csv"
    rows = read_results(file)
    cider = next(row for row in rows if row.metric == "cider")
    part = Row("test", "model", "modality=CT", "cider", 0.5, 0.4, 0.7, 20, cider.signature)
    write_results(
        file, [*rows, Row(*("test", "nearest", "all", "cider", 0.4321, None, None, 6, cider.signature)), part]
    )
    pages = report(folder, "test", examples, None)
    text = pages["report"].read_text(encoding="utf-8")
    assert "0.4321" in text and "the caption of the nearest training image" in text
    assert "modality=CT" in text and "cider by modality" in text
    assert "<figure>" in text and "where the model looked" not in text  # plots, but no heat maps without a captioner
    assert pages["samples"].is_file()


def test_a_run_that_scored_nothing_has_a_page(copied):
    folder, examples = copied
    (folder.path / "evaluation_results.csv").unlink()
    predictions = folder.path / "predictions"
    lines = [json.loads(line) for line in (predictions / "test.jsonl").read_text().splitlines()]
    bare = [json.dumps({"id": line["id"], "prediction": line["prediction"]}) for line in lines]
    (predictions / "valid.jsonl").write_text("\n".join(bare))
    pages = report(folder, "valid", examples, best_captioner(folder, Recipe.of_run(folder)))
    assert pages == {"report": folder.path / "report_valid.html"}
    assert headings(pages["report"]) == ["Guards", "Training", "Does it look at the finding?", "Images", "Recipe"]


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs the browser chromium")
def test_a_browser_draws_it_without_a_complaint(finished, tmp_path):
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    words = ["--disable-component-update", f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--dump-dom"]
    page = (finished / "report.html").as_uri()
    done = subprocess.run(["chromium", *quiet, *words, page], capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    assert done.stdout.count('class="main-svg"') >= 5 and "Not for clinical use" in done.stdout
