"""The run folder: claimed once, written whole, and read back."""

import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from rococap.records import Clock, RunFolder, claim, new_folder
from rococap.types import UserError

RECIPE = {
    "name": "a",
    "seed": 0,
    "lora": {"rank": 16},
    "metrics": {"bleu": {"n": 4}},
    "logger": {},
    "data": {"workers": None, "fraction": 0.1},
}
HOLD = """
import sys
from pathlib import Path
from omegaconf import OmegaConf
from rococap.records import claim
claim(Path(sys.argv[1]), OmegaConf.create({"seed": 0}))
print("held", flush=True)
sys.stdin.read()
"""


def recipe(**changes):
    config = OmegaConf.create(RECIPE)
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config


def test_the_resolved_recipe_is_written_once(tmp_path):
    config = OmegaConf.create({"seed": 3, "twice": "${seed}"})
    folder = claim(tmp_path / "run", config)
    assert OmegaConf.to_container(folder.config) == {"seed": 3, "twice": 3}
    written = (folder.path / "config.yaml").stat().st_mtime_ns
    assert claim(tmp_path / "run", config).state == {}
    assert (folder.path / "config.yaml").stat().st_mtime_ns == written


def test_another_recipe_is_refused_with_each_difference(tmp_path):
    claim(tmp_path / "run", recipe())
    with pytest.raises(UserError) as refusal:
        claim(tmp_path / "run", recipe(lora__rank=8, data__fraction=0.2, optimizer__lr=1))
    for difference in ("lora.rank was 16, is 8", "data.fraction was 0.1, is 0.2", "optimizer.lr was absent, is 1"):
        assert difference in str(refusal.value)
    assert "seed" not in str(refusal.value)


@pytest.mark.parametrize("free", [{"metrics": {}}, {"logger__wandb": {"mode": "auto"}}, {"data__workers": 2}])
def test_what_cannot_change_weights_may_differ(tmp_path, free):
    claim(tmp_path / "run", recipe())
    claim(tmp_path / "run", recipe(name="b", **free))


def test_a_folder_that_another_process_holds_is_refused_until_it_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match="a run is going on there"):
        claim(tmp_path / "run", OmegaConf.create({"seed": 0}))
    holder.kill()
    holder.wait()
    claim(tmp_path / "run", OmegaConf.create({"seed": 0}))


def test_a_folder_of_something_else_is_refused_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds something else \(thesis.tex\)"):
        claim(tmp_path, recipe())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        claim(tmp_path / "file" / "run", recipe())
    with pytest.raises(UserError, match="cannot be written"):
        new_folder(tmp_path / "file" / "run")


def test_runs_of_one_second_get_folders_of_their_own(tmp_path):
    folders = [new_folder(tmp_path / "10-00-00") for _ in range(3)]
    assert [folder.name for folder in folders] == ["10-00-00", "10-00-00_2", "10-00-00_3"]


def test_rows_that_a_resumed_run_repeats_give_way(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.metrics() == []
    for epoch, loss in ((0, 3.0), (1, 2.0), (2, 1.0), (1, 2.5)):
        folder.add_metrics(epoch, {"val/loss": loss, **({"val/cider": 0.1} if loss == 2.5 else {})})
    rows = folder.metrics()
    assert [(row["epoch"], row["val/loss"], row["val/cider"]) for row in rows] == [
        ("0", "3.0", ""),
        ("1", "2.5", "0.1"),
    ]


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val/loss", [3.0, 1.0, 2.0], (1, 1.0)),
        ("val/cider", [0.1, 0.3, 0.3], (1, 0.3)),
        ("val/cider", [float("nan"), 0.1, 0.0], (1, 0.1)),
        ("val/loss", [None, 2.0, 3.0], (1, 2.0)),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best_value(tmp_path, monitor, values, best):
    folder = RunFolder(tmp_path)
    for epoch, value in enumerate(values):
        folder.add_metrics(epoch, {"lr": 0.1} if value is None else {"lr": 0.1, monitor: value})
    assert folder.best_epoch(monitor) == best


def test_a_monitor_that_no_epoch_has_is_named_with_those_there_are(tmp_path):
    folder = RunFolder(tmp_path)
    folder.add_metrics(0, {"val/loss": 1.0, "lr": 0.1})
    with pytest.raises(UserError, match=r"monitor=val/bleu_4.*val/loss"):
        folder.best_epoch("val/bleu_4")


def test_run_json_is_merged_and_wall_time_goes_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.note(state="running", wall_seconds=100.0)
    folder.note(state="failed", last_error="Störung")
    assert folder.state == {"state": "failed", "wall_seconds": 100.0, "last_error": "Störung"}
    assert Clock(folder).seconds() >= 100.0
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="is no run's folder"):
        _ = RunFolder(tmp_path).config
    with pytest.raises(UserError, match="has no checkpoint yet"):
        RunFolder(tmp_path).best_checkpoint()
