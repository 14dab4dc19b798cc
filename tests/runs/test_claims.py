"""A run's folder: claimed once, and refused where it holds something else."""

import json

import pytest
from commands import held
from omegaconf import OmegaConf

from rococap.runs.batches import batch_of_each
from rococap.runs.changes import Outdated, differences, outdated, resolve, write_environment
from rococap.runs.claims import claim
from rococap.runs.folder import RunFolder
from rococap.runs.locks import is_held
from rococap.types import UserError

RECIPE = {
    "name": "a",
    "seed": 0,
    "lora": {"rank": 16},
    "metrics": {"bleu": {"n": 4}},
    "logger": {},
    "data": {"workers": None, "fraction": 0.1, "batch_size": 8, "global_batch_size": None},
    "trainer": {"devices": 1, "num_nodes": 1},
}


def recipe(**changes):
    config = OmegaConf.create(RECIPE)
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config


def test_the_resolved_recipe_is_written(tmp_path):
    folder = claim(tmp_path / "run", OmegaConf.create({"seed": 3, "twice": "${seed}"}))
    assert OmegaConf.to_container(folder.config) == {"seed": 3, "twice": 3} and folder.state == {}


def test_another_recipe_is_refused_with_each_difference(tmp_path):
    claim(tmp_path / "run", recipe())
    with pytest.raises(UserError) as refusal:
        claim(tmp_path / "run", recipe(lora__rank=8, data__fraction=0.2, optimizer__lr=1))
    for difference in ("lora.rank was 16, is 8", "data.fraction was 0.1, is 0.2", "optimizer.lr was absent, is 1"):
        assert difference in str(refusal.value)
    assert "seed" not in str(refusal.value)


@pytest.mark.parametrize(
    "free",
    [
        {"metrics": {}},
        {"logger__wandb": {"mode": "auto"}},
        {"data__workers": 2},
        {"data__root": "x"},
        {"callbacks": {"progress": {}}},
    ],
)
def test_what_cannot_change_weights_may_differ_and_is_kept_while_something_is_left_to_run(tmp_path, free):
    folder = claim(tmp_path / "run", recipe())
    assert claim(tmp_path / "run", recipe(name="b", **free)).config == recipe(name="b", **free)
    folder.note(state="finished")
    assert claim(tmp_path / "run", recipe(name="c")).config == recipe(name="b", **free)


@pytest.mark.parametrize(
    ("shared", "fault"),
    [
        ({"trainer__devices": 2, "data__batch_size": 4}, None),
        ({"trainer__devices": [0, 1], "trainer__num_nodes": 2, "data__global_batch_size": 8}, None),
        ({"trainer__devices": 2}, "data.batch_size was 8, is 16"),
        ({"data__global_batch_size": 24}, "data.batch_size was 8, is 24"),
    ],
)
def test_how_many_processes_share_a_step_may_differ_but_not_its_images(tmp_path, shared, fault):
    claim(tmp_path / "run", recipe())
    assert differences(RunFolder(tmp_path / "run"), recipe(**shared)) == ([fault] if fault else [])


def test_images_that_cannot_be_shared_out_evenly_are_refused():
    assert batch_of_each(recipe(data__global_batch_size=8, trainer__devices=4)) == 2
    with pytest.raises(UserError, match=r"data\.global_batch_size=8 cannot be shared out evenly among 3 processes"):
        batch_of_each(recipe(data__global_batch_size=8, trainer__devices=3))


def test_a_folder_that_another_process_holds_is_refused_until_it_is_killed(tmp_path):
    with held(tmp_path / "run"):
        assert is_held(tmp_path / "run")
        with pytest.raises(UserError, match="a run is going on there"):
            claim(tmp_path / "run", OmegaConf.create({"seed": 0}))
    claim(tmp_path / "run", OmegaConf.create({"seed": 0}))


def test_a_folder_of_something_else_is_refused_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds something else \(thesis.tex\)"):
        claim(tmp_path, recipe())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


class Now:
    """What a run that begins now would be made of."""

    files = {"code": "new", "conf": "new"}  # noqa: RUF012

    def data(self, recipe):
        return "new"


def begun(path, state="interrupted", **was):
    """A folder whose run was made of what `was` says, and of what there is now otherwise."""
    folder = RunFolder(path)
    path.mkdir()
    folder.write_recipe(recipe())
    folder.write_json("environment.json", {"code": "new", "conf": "new", "data": "new", **was})
    folder.note(state=state)
    return folder


def test_nothing_has_changed(tmp_path):
    assert outdated(begun(tmp_path / "a"), recipe(), Now()) is None
    assert outdated(RunFolder(tmp_path / "new"), recipe(), Now()) is None


@pytest.mark.parametrize("part", ["code", "conf", "data"])
@pytest.mark.parametrize("state", ["interrupted", "finished", "failed"])
def test_what_changed_stops_a_run_unless_it_is_told_otherwise(tmp_path, part, state):
    folder = begun(tmp_path / "run", state, **{part: "old"})
    found = outdated(folder, recipe(), Now())
    with pytest.raises(UserError, match=f"changed since: {part}.*\n.*on_change=keep.*on_change=rerun"):
        resolve([found], "stop")
    resolve([found], "keep")
    aside = folder.path / "environment~1.json"
    assert folder.begun and aside.exists() == (state != "finished")  # a run that goes on writes its own facts
    resolve([found], "rerun")
    assert not folder.path.exists()
    assert json.loads((tmp_path / "run~1" / "environment.json").read_text())[part] == "old"


@pytest.mark.parametrize(
    ("state", "was", "kept"),
    [("finished", {"conf": "old"}, True), ("interrupted", {"conf": "old"}, False), ("finished", {}, False)],
)
def test_another_recipe_is_kept_only_where_files_made_it_and_nothing_is_left_to_run(tmp_path, state, was, kept):
    folder = begun(tmp_path / "run", state, **was)
    found = outdated(folder, recipe(lora__rank=8), Now())
    assert found.recipe == ["lora.rank was 16, is 8"]
    if kept:
        resolve([found], "keep")
    else:
        with pytest.raises(UserError, match=r"another recipe: lora.rank was 16, is 8"):
            resolve([found], "keep")
    assert folder.begun


def test_refused_runs_are_named_by_the_first_of_each_kind(tmp_path):
    runs = [RunFolder(tmp_path / name) for name in "abcd"]
    found = [Outdated(run, [], ["code"]) for run in runs[:3]] + [Outdated(runs[3], ["seed was 0, is 1"], ["code"])]
    with pytest.raises(UserError) as refusal:
        resolve(found, "stop")
    assert f"{runs[3].path} holds a run of another recipe: seed was 0, is 1" in str(refusal.value)
    assert f"{runs[0].path} (and 2 more) was made with what has changed since: code" in str(refusal.value)


def test_a_finished_run_does_not_need_its_data(tmp_path):
    class Gone(Now):
        def data(self, recipe):
            raise UserError("not there")

    assert outdated(begun(tmp_path / "a", "finished"), recipe(), Gone()) is None
    with pytest.raises(UserError, match="not there"):
        outdated(begun(tmp_path / "b", "interrupted"), recipe(), Gone())


def test_a_run_that_goes_on_elsewhere_says_so_and_keeps_what_it_began_with(tmp_path, caplog):
    folder = RunFolder(tmp_path)
    began = {"device": "NVIDIA A100", "precision": "bf16-mixed", "python": "3.12.1", "versions": {"torch": "2.13.0"}}
    write_environment(folder, began)
    write_environment(folder, began | {"command": ["again"]})
    assert caplog.messages == [] and [file.name for file in tmp_path.iterdir()] == ["environment.json"]
    now = began | {"device": "NVIDIA V100", "precision": "16-mixed"}
    write_environment(folder, now)
    [said] = caplog.messages
    assert "device was NVIDIA A100, is NVIDIA V100; precision was bf16-mixed, is 16-mixed" in said
    assert "torch" not in said and folder.environment == now
    assert json.loads((tmp_path / "environment~1.json").read_text())["device"] == "NVIDIA A100"
