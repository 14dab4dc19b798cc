"""Captions, ids, attributions, names and settings are text on a page, whoever wrote them."""

import dataclasses
import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from made_runs import examples, make_run

from rococap.compare.comparison import compare
from rococap.data.phantom.source import Phantom
from rococap.evaluation.split_scores import score_predictions
from rococap.metrics.bleu import Bleu
from rococap.recipe.parts import best_captioner
from rococap.recipe.recipe import Recipe
from rococap.report.compare import compare_page
from rococap.report.run import report
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import PredictionWriter
from rococap.runs.results import Row, read_results, write_per_sample, write_results
from rococap.types import Concept, Prediction

HARMLESS = "plain"
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'</style></title></pre>&lt;i&gt; ${oc.env:HOME} {{7*7}}"
NAME = "<img src=x onerror=alert(1)>"  # of a folder
LINK = '<a href="http://evil">here</a>'


class Structure(HTMLParser):
    """Elements with the names of their attributes, in order; and what scripts and all texts hold."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.scripts, self.texts, self.inside = [], [], [], None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, tuple(name for name, _ in attributes)))
        self.inside = tag

    def handle_data(self, data):
        (self.scripts if self.inside == "script" else self.texts).append(data)

    def handle_endtag(self, tag):
        self.inside = None


def run_page(finished, path, text):
    """The page of a run in which all that is text says the same, heat maps included."""
    shutil.copytree(finished, path, ignore=shutil.ignore_patterns("wandb", "adapter"))
    folder = RunFolder(path)
    source = folder.config.data.source
    drawn = Phantom(source.train, source.valid, source.test, source.seed).examples("test")
    named = [
        dataclasses.replace(
            each, id=f"{text} {n}", captions=(text,), attribution=text, concepts=(Concept(f"C{n}", text, True),)
        )
        for n, each in enumerate(drawn)
    ]
    lines = [
        {"id": e.id, "prediction": f"{text} nodule", "references": list(e.captions), "attribution": text}
        | {"concepts": [{"cui": "C", "name": text, "manual": True}]}
        for e in named
    ]
    (path / "predictions" / "test.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (path / "scores" / "test_per_sample.csv").unlink()
    rows = [row for row in read_results(path / "evaluation_results.csv") if row.slice == "all"]
    part = Row("test", "model", f"modality={text}", "cider", 0.5, 0.4, 0.7, 20, text)
    write_results(path / "evaluation_results.csv", [dataclasses.replace(row, signature=text) for row in rows] + [part])

    write_per_sample(path, "test", [e.id for e in named], {"cider": np.linspace(0, 1, len(named))})
    guards = [{**guard, "warning": text} for guard in folder.state["guards"]["test"]]
    folder.note(digests={}, guards={"test": guards}, best_checkpoint=folder.state["best_checkpoint"])
    recipe = Recipe.of_run(folder)
    captioner = best_captioner(folder, recipe)
    config = (path / "config.yaml").read_text().replace("name: finished", f"name: {json.dumps(text)}")
    (path / "config.yaml").write_text(config)
    assert folder.config.name == text
    return report(folder, "test", named, captioner)["report"].read_text(encoding="utf-8")


def comparison_page(finished, place, text, name):
    """The page of runs in a folder of this name, in whose settings and captions all text is the same."""
    for number in (1, 2):
        run = make_run(finished, place / name / str(number), 0.5, ("bleu",), model__path=f"{text} {number}")
        run.note(digests={})
        said = [Prediction(p.id, f"{text} nodule {number}", (f"{text} nodule",), attribution=text) for p in examples()]
        with PredictionWriter(run.path / "predictions" / "test.jsonl") as file:
            for prediction in said:
                file.write(prediction)
        rows = score_predictions({"bleu": Bleu()}, said, "test").rows()
        write_results(run.path / "evaluation_results.csv", rows)
    make_run(finished, place / name / "failed", 0.5, ("bleu",)).note(state="failed", last_error=text)
    return compare_page(compare([place]), text)


def assert_same_elements(evil, harmless):
    assert set(evil.elements) <= set(harmless.elements)
    for kind in ("script", "style", "title", "h1", "h2", "section", "pre"):
        assert sum(tag == kind for tag, _ in evil.elements) == sum(tag == kind for tag, _ in harmless.elements), kind
    charts = [script for script in evil.scripts if "Plotly.newPlot(" in script and "plotly.js v" not in script]
    said = "".join(charts).replace("\\u003c", "<")  # which Plotly would take for tags of its own
    assert len(charts) > 3 and not [tag for tag in ("<a ", "<img", "<script", "</a") if tag in said]


@pytest.mark.parametrize("text", [EVIL, LINK])
def test_a_runs_page_has_the_elements_that_it_has_with_harmless_text(finished, tmp_path, text):
    evil, harmless = (
        Structure(run_page(finished, tmp_path / name, each)) for name, each in (("a", text), ("b", HARMLESS))
    )
    assert_same_elements(evil, harmless)
    assert "".join(evil.texts).count(text) > 30


@pytest.mark.parametrize("text", [EVIL, LINK])
def test_so_has_a_comparison(finished, tmp_path, text):
    evil = Structure(comparison_page(finished, tmp_path / "a", text, NAME))
    harmless = Structure(comparison_page(finished, tmp_path / "b", HARMLESS, HARMLESS))
    assert_same_elements(evil, harmless)
    assert "".join(evil.texts).count(text) > 5
