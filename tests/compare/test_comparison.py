import csv
import dataclasses
import io
import shutil

import numpy as np
import pytest
from made_runs import caption, make_run
from rich.console import Console

from rococap.compare.comparison import compare
from rococap.compare.runs import axes, find_runs
from rococap.compare.tables import columns, legend, terminal_tables, write_csv, write_markdown
from rococap.runs.results import read_results
from rococap.types import UserError


@pytest.fixture(scope="module")
def sweep(finished, tmp_path_factory):
    """Ranks by seeds: 4 is bad, 8 and 16 are about as good as each other; one job failed, one was killed."""
    place = tmp_path_factory.mktemp("sweep")
    for rank, skill in ((4, 0.3), (8, 0.8), (16, 0.82)):
        for seed in (0, 1):
            make_run(finished, place / f"rank={rank},seed={seed}", skill, lora__rank=rank, seed=seed)
    failed = make_run(finished, place / "rank=32,seed=0", 0.5, lora__rank=32)
    failed.note(state="failed", last_error="RuntimeError: out of memory\nmore of it", epochs_done=1, epochs=5)
    killed = make_run(finished, place / "rank=64,seed=0", 0.5, lora__rank=64)
    killed.note(state="running", epochs_done=2, epochs=5)
    return place


@pytest.fixture(scope="module")
def comparison(sweep):
    return compare([sweep])


def facts(folder):
    return next(row for row in read_results(folder / "evaluation_results.csv") if row.metric == "facts")


def test_runs_that_differ_in_the_seed_alone_are_one_setting(comparison, sweep):
    assert comparison.axes == ["lora.rank"]
    for setting, scores in zip(comparison.settings, comparison.scores, strict=True):
        rank = setting.values["lora.rank"]
        values = [facts(sweep / f"rank={rank},seed={seed}").value for seed in (0, 1)]
        assert scores["facts"].value == pytest.approx(np.mean(values))
        assert scores["facts"].deviation == pytest.approx(np.std(values, ddof=1))
        assert scores["facts"].ci_low < scores["facts"].value < scores["facts"].ci_high


def test_the_best_is_first_a_close_one_ties_and_a_bad_one_does_not(comparison):
    marks = {
        s.values["lora.rank"]: c["facts"].mark for s, c in zip(comparison.settings, comparison.scores, strict=True)
    }
    values = [scores["facts"].value for scores in comparison.scores]
    assert values == sorted(values, reverse=True)
    assert marks[4] == "" and sorted([marks[8], marks[16]]) == ["best", "tie"]


def test_what_did_not_finish_is_listed_with_its_state(comparison):
    assert {run.label: reason for run, reason in comparison.left_out} == {
        "rank=32,seed=0": "failed, 1 of 5 epochs: RuntimeError: out of memory",
        "rank=64,seed=0": "killed, 2 of 5 epochs",
    }


def test_the_interval_of_a_lone_run_is_that_of_its_own_table(finished, tmp_path):
    for rank in (4, 8):
        make_run(finished, tmp_path / str(rank), rank / 10, metrics=("bleu", "cider"), lora__rank=rank)
    seen = compare([tmp_path])
    assert seen.metrics[0] == "cider" and len(seen.metrics) == 5
    for setting, scores in zip(seen.settings, seen.scores, strict=True):
        rows = {
            r.metric: r for r in read_results(tmp_path / str(setting.values["lora.rank"]) / "evaluation_results.csv")
        }
        for name, score in scores.items():
            assert (score.value, score.ci_low, score.ci_high) == pytest.approx(
                (rows[name].value, rows[name].ci_low, rows[name].ci_high)
            )
            assert score.deviation is None


def test_a_seed_each_is_said_to_compare_models_not_recipes(finished, tmp_path):
    for rank in (4, 8):
        make_run(finished, tmp_path / str(rank), 0.5, lora__rank=rank)
    seen = compare([tmp_path])
    assert seen.once and "One seed each: another seed may turn any difference" in legend(seen)
    shown = dict(columns(seen, lambda score: score.mark))
    assert shown["facts (one seed each)"] == ["", ""]


def test_different_test_sets_are_refused_by_name_and_reason(finished, tmp_path):
    for name, images in (("a", 60), ("b", 60), ("c", 30)):
        make_run(finished, tmp_path / name, 0.5, images=images)
    with pytest.raises(UserError, match=r"facts: .*\(n: 60, 30; data: \w+, \w+\)\.\nAlike: a, b\. Otherwise: c\."):
        compare([tmp_path])


def test_scores_of_another_tokenizer_are_refused(finished, tmp_path):
    for name in ("a", "b"):
        make_run(finished, tmp_path / name, 0.5, seed=ord(name)).note(digests={})
    table = tmp_path / "b" / "evaluation_results.csv"
    table.write_text(table.read_text().replace("|rococap:", "|tok:ptb|rococap:"))
    with pytest.raises(UserError, match="tok: "):
        compare([tmp_path])


def test_captions_that_do_not_belong_to_the_scores_are_left_out(finished, tmp_path):
    for name in ("a", "b", "changed", "missing", "broken", "unscored"):
        make_run(finished, tmp_path / name, 0.5, seed=ord(name[0])).note(digests={})
    caption(tmp_path / "changed", 0.9)
    (tmp_path / "missing" / "predictions" / "test.jsonl").unlink()
    (tmp_path / "broken" / "predictions" / "test.jsonl").write_text('{"id": "1",\n')
    (tmp_path / "unscored" / "evaluation_results.csv").unlink()
    reasons = {run.label: reason for run, reason in compare([tmp_path]).left_out}
    assert set(reasons) == {"changed", "missing", "broken", "unscored"}
    assert "its captions give facts" in reasons["changed"]
    assert "predictions/test.jsonl is missing" in reasons["missing"]
    assert "line 1: not JSON" in reasons["broken"]
    assert "without scores" in reasons["unscored"]


def test_places_that_cannot_be_compared_are_refused(finished, tmp_path):
    with pytest.raises(UserError, match="nowhere is no folder"):
        compare([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="holds no run"):
        compare([tmp_path])
    make_run(finished, tmp_path / "lone", 0.5)
    make_run(finished, tmp_path / "stopped", 0.5).note(state="interrupted")
    with pytest.raises(UserError, match=r"Two runs .* there is 1\.\n  stopped: interrupted"):
        compare([tmp_path])


def test_each_run_is_found_once_and_none_that_was_set_aside(finished, tmp_path):
    for name in ("x/10", "x/2", "x/2~1", "y"):
        make_run(finished, tmp_path / name, 0.5)
    (tmp_path / "y" / "wandb" / "files").mkdir(parents=True)
    for name in ("config.yaml", "run.json"):
        shutil.copy(tmp_path / "y" / name, tmp_path / "y" / "wandb" / "files" / name)
    found = find_runs([tmp_path / "x", tmp_path / "y", tmp_path])
    assert [run.label for run in found] == ["x/2", "x/10", "y"]
    assert [run.label for run in find_runs([tmp_path / "x" / "2~1"])] == ["2~1"]


def test_where_the_data_lay_tells_no_runs_apart_and_what_it_held_does(finished, tmp_path):
    for seed, (root, data) in enumerate([("here", "x"), ("there", "x"), ("elsewhere", "y")]):
        folder = make_run(finished, tmp_path / root, 0.5, seed=seed, data__root=root, data__source__root=root)
        folder.write_json("environment.json", {"data": data})
    with pytest.raises(UserError, match=r"different data.*: y \(elsewhere\); x \(here, there\)\.\n.* --other-data"):
        compare([tmp_path])
    seen = compare([tmp_path], other_data=True)
    assert seen.axes == ["data.root"]
    assert {tuple(run.label for run in setting.runs) for setting in seen.settings} == {
        ("elsewhere",),
        ("here", "there"),
    }
    assert axes(find_runs([tmp_path / "here", tmp_path / "there"])) == []


def test_runs_with_the_same_seed_and_from_other_code_are_noted(finished, tmp_path):
    for name in ("a", "b"):
        folder = make_run(finished, tmp_path / name, 0.5)
        folder.write_json("environment.json", {"code": name, "device": "cpu", "data": "x"})
    notes = compare([tmp_path]).notes
    assert "the code differs: a (a); b (b)" in notes
    assert "the same recipe and seed: a, b; each counts as a run" in notes
    assert not any("device" in note for note in notes)


def test_what_a_choice_brings_along_is_no_axis_of_its_own(finished, tmp_path):
    full = {"_target_": "rococap.models.lora.train_in_full", "_partial_": True, "train_vision_tower": True}
    make_run(finished, tmp_path / "full", 0.5, lora=full)
    for rank in (4, 8):
        make_run(finished, tmp_path / str(rank), 0.5, lora__rank=rank)
    runs = find_runs([tmp_path])
    assert axes(runs[:2]) == ["lora.rank"]
    found = axes(runs)
    assert found[0] == "lora" and set(found) == {"lora", "lora.rank", "lora.train_vision_tower"}


def test_early_stopping_is_part_of_a_recipe_and_a_progress_bar_is_not(finished, tmp_path):
    stopping = {"_target_": "rococap.training.callbacks.early_stopping", "min_delta": 0.0}
    progress = {"_target_": "pytorch_lightning.callbacks.RichProgressBar"}
    make_run(finished, tmp_path / "bar", 0.4, callbacks={"progress": progress}, baselines=False)
    make_run(finished, tmp_path / "none", 0.4, callbacks={}, seed=1)
    for patience in (1, 2):
        chosen = {"progress": progress, "early_stopping": {**stopping, "patience": patience}}
        make_run(finished, tmp_path / f"{patience}", patience / 4, callbacks=chosen)
    seen = compare([tmp_path])
    assert seen.axes == ["callbacks.early_stopping", "callbacks.early_stopping.patience"]
    assert {setting.label: [run.label for run in setting.runs] for setting in seen.settings} == {
        "callbacks.early_stopping=null": ["bar", "none"],
        "callbacks.early_stopping=early_stopping callbacks.early_stopping.patience=1": ["1"],
        "callbacks.early_stopping=early_stopping callbacks.early_stopping.patience=2": ["2"],
    }
    assert not any("same recipe" in note for note in seen.notes)


def test_the_cost_in_time_is_what_the_run_itself_took(finished, tmp_path):
    for name, paid_for_all in (("first", 90.0), ("second", 0.0)):
        folder = make_run(finished, tmp_path / name, 0.5, lora__rank=len(name))
        folder.note(wall_seconds=30.0 + paid_for_all, seconds={"training": 20.0, "captioning": 5.0, "scoring": 1.0})
    untimed = make_run(finished, tmp_path / "untimed", 0.5, lora__rank=1)
    untimed.write_json("run.json", {key: value for key, value in untimed.state.items() if key != "seconds"})
    found = {setting.runs[0].label: setting.cost for setting in compare([tmp_path]).settings}
    seconds = [{name: cost for name, cost in each.items() if "seconds" in name} for each in map(found.get, found)]
    own = {"training_seconds": 20.0, "captioning_seconds": 5.0}
    untimed_cost = {"wall_seconds": untimed.state["wall_seconds"]}
    assert dict(zip(found, seconds, strict=True)) == {"first": own, "second": own, "untimed": untimed_cost}


def test_scores_of_metrics_that_no_recipe_names_are_left_out(finished, tmp_path):
    for name in ("a", "b"):
        folder = make_run(finished, tmp_path / name, 0.5, seed=ord(name))
        config = folder.config
        config.metrics = {}
        folder.write_recipe(config)
    with pytest.raises(
        UserError, match=r"there is none\.\n  a: finished, but no config.yaml of these runs names a metric"
    ):
        compare([tmp_path])


def test_a_setting_that_older_runs_lack_and_one_that_follows_another(finished, tmp_path):
    for name, root, later in (("a", "a", {}), ("b", "b", {}), ("c", "b", {"later": 1})):
        folder = make_run(finished, tmp_path / name, 0.5, data__root=root, data__source__root=root, **later)
        folder.write_json("environment.json", {"data": f"that of {root}"})
    assert axes(find_runs([tmp_path])) == ["data.root", "later"]


def test_tables_hold_every_number(comparison, tmp_path):
    write_csv(tmp_path / "compare.csv", comparison)
    with (tmp_path / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["finished"] * 3 + ["failed", "killed"]
    for row, scores in zip(rows, comparison.scores, strict=False):
        assert float(row["facts"]) == scores["facts"].value and row["seeds"] == "0 1"
        assert row["facts_mark"] == scores["facts"].mark
        assert float(row["training_seconds"]) > 0 and row["wall_seconds"] == ""
    assert rows[3]["lora.rank"] == "32" and "out of memory" in rows[3]["left_out"]
    write_markdown(tmp_path / "compare.md", comparison)
    lines = (tmp_path / "compare.md").read_text().splitlines()
    assert (
        lines[0].startswith("| lora.rank | runs | val/facts | facts | training min | captioning min | MiB |")
        and len({line.count("|") for line in lines[:5]}) == 1
    )
    assert sum("**" in line for line in lines[2:5]) == 1 and "left out: rank=32,seed=0: failed" in "\n".join(lines)


_LONG = [f"callbacks.early_stopping.{name}" for name in ("patience", "min_delta")]


@pytest.mark.parametrize(("width", "axes"), [(50, []), (200, []), (80, _LONG)])
def test_a_terminal_shows_whole_numbers_however_narrow_it_is(comparison, width, axes):
    many = dataclasses.replace(
        comparison,
        axes=[*comparison.axes, *axes],
        metrics=["facts", "f2", "f3"],
        scores=[{name: scores["facts"] for name in ("facts", "f2", "f3")} for scores in comparison.scores],
    )
    console = Console(width=width, record=True, file=io.StringIO())
    for table in terminal_tables(many, console):
        console.print(table)
    shown = console.export_text()
    for scores in comparison.scores:
        assert shown.count(f"{scores['facts'].value:.4f} ±") == 3
    assert "out of memory" in shown and "…" not in shown
