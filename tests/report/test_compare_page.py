import json
import re

import pytest
from made_runs import make_run

from rococap.compare.comparison import compare
from rococap.compare.growth import described, growths
from rococap.report.compare import compare_page
from rococap.report.compare_charts import axis_layout

SKILL = {0.1: 0.3, 0.2: 0.5, 0.4: 0.62, 0.8: 0.7}


@pytest.fixture(scope="module")
def growing(finished, tmp_path_factory):
    """More data, better captions; two seeds of each, one run failed."""
    place = tmp_path_factory.mktemp("growing")
    for fraction, skill in SKILL.items():
        for seed in (0, 1):
            make_run(finished, place / f"{fraction},{seed}", skill, data__fraction=fraction, seed=seed)
    make_run(finished, place / "failed", 0.5).note(state="failed", last_error="<b>boom</b>")
    return place


@pytest.fixture(scope="module")
def page(growing):
    return compare_page(compare([growing]), "a <sweep>")


def headings(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


def figures(page):
    """Traces of each chart on the page."""
    decode = json.JSONDecoder().raw_decode
    starts = [match.end() for match in re.finditer(r"Plotly\.newPlot\(\s*\"[\w-]+\",\s*", page)]
    return [decode(page, start)[0] for start in starts]


def test_a_page_has_every_part_and_fetches_nothing(page):
    assert headings(page) == [
        "What differed, and what came out",
        "Left out",
        "Score against data.fraction",
        "Scaling with data",
        "All settings at once",
        "Learning curves",
        "Score against seconds of training",
        "Score against seconds of captioning the test split",
        "Score against peak memory in MiB",
        *(["Score against trainable parameters"] if "Score against trainable parameters" in page else []),
        "Captions side by side",
    ]
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?!data:)", page) == []
    assert "a &lt;sweep&gt;" in page and "<b>boom" not in page


def test_a_chart_shows_means_with_intervals_and_each_run(page):
    means, runs = figures(page)[0]
    assert means["x"] == sorted(SKILL) and len(means["error_y"]["array"]) == 4
    assert len(runs["x"]) == 8 and runs["mode"] == "markers"


def test_the_forecast_is_labelled_as_one(page, growing):
    (growth,) = growths(compare([growing]), "facts")
    value, low, high = growth.forecast.whole
    assert low < value < high
    line = described(growth)
    assert line.startswith(f"facts at 100 % of the data, forecast: {value:.4f}") and "measured up to 80%" in line
    names = [trace.get("name", "") for trace in figures(page)[1]]
    assert "forecast for all of the data" in names and line in page
    residuals = figures(page)[1][-1]
    assert residuals["yaxis"] == "y2"


def test_few_fractions_have_no_curve_and_it_is_said(finished, tmp_path):
    for fraction in (0.1, 0.2, 0.4):
        make_run(finished, tmp_path / str(fraction), SKILL[fraction], data__fraction=fraction)
    page = compare_page(compare([tmp_path]), "few")
    assert "needs 4 values of data.fraction, and there are 3: not fitted" in page


def test_captions_of_all_runs_stand_beside_a_picture(page):
    assert page.count("<img") == 12 and page.count("<article") == 12
    assert len(re.findall(r"data\.fraction=0\.1 seed=0", page)) == 12


def test_without_the_data_captions_stand_alone(finished, tmp_path):
    source = {"_target_": "rococap.data.rocov2.RocoV2", "root": str(tmp_path / "gone")}
    for rank in (4, 8):
        folder = make_run(finished, tmp_path / str(rank), 0.5, lora__rank=rank)
        config = folder.config
        config.data.source = source
        folder.write_recipe(config)
    page = compare_page(compare([tmp_path]), "blind")
    assert "Without pictures: " in page and page.count("<img") == 0 and page.count("<article") == 12


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([4, 8, 16], "log"),
        ([0.01, 0.1, 1.0], "log"),
        ([1, 2, 3, 4], "linear"),
        ([0, 1, 2], "linear"),
        ([3, 5], "linear"),
        (["adamw", "lion"], "category"),
        ([True, False], "category"),
        ([8, None], "category"),
    ],
)
def test_numbers_that_are_spaced_by_factors_have_a_logarithmic_axis(values, kind):
    assert axis_layout("x", values)["type"] == kind


def test_axes_that_go_together_do_not_part_a_line(finished, tmp_path):
    for rank, rate in ((4, 0.1), (8, 0.2)):
        for batch in (16, 32):
            settings = {"lora__rank": rank, "optimizer__lr": rate, "data__batch_size": batch}
            make_run(finished, tmp_path / f"{rank},{batch}", 0.5, **settings)
    drawn = figures(compare_page(compare([tmp_path]), "together"))
    lines = {trace["name"]: trace["x"] for trace in drawn[1] if trace["mode"] == "lines+markers"}
    assert lines == {"data.batch_size=16": [4, 8], "data.batch_size=32": [4, 8]}
