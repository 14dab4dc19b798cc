"""What a run leaves for dashboards, read back from its own files; how one that was stopped goes on there."""

import dataclasses
import json
import time
from pathlib import Path

import pytest
import torch
import wandb
from commands import ROOT, SMALL
from PIL import Image

from rococap.loggers.wandb_run import going_on
from rococap.loggers.wandb_run import summary as scores_by_name
from rococap.loggers.wandb_segments import history, records, segments
from rococap.runs.folder import RunFolder
from rococap.runs.results import read_results


@pytest.fixture(scope="module")
def logged(finished):
    """All records of the finished run's only segment."""
    (file,) = segments(finished, RunFolder(finished).state["wandb_id"])
    return list(records(file))


def the_run(found):
    return next(record.run for record in found if record.HasField("run"))


def summary(found):
    items = [item for record in found if record.HasField("summary") for item in record.summary.update]
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_a_run_says_what_it_is(logged, finished):
    run = the_run(logged)
    facts = RunFolder(finished).environment
    assert (run.display_name, run.job_type, run.run_group, list(run.tags)) == (
        "finished",
        "train",
        "",
        ["phantom", "tiny"],
    )
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["lora"]["rank"] == 16 and config["data"]["batch_size"] == 16
    assert run.git.commit == (facts["git"] or {"commit": ""})["commit"]
    assert any(record.HasField("stats") for record in logged)  # what the machine does
    assert not [record for record in logged if record.HasField("artifact") and record.artifact.type == "model"]


def test_epochs_are_the_axis_of_what_is_measured_once_an_epoch(logged):
    axes = {record.metric.name: record.metric.step_metric for record in logged if record.HasField("metric")}
    names = ("train/loss", "val/loss", "val/cider", "val/bleu_4", "lr")
    assert {axes[name] for name in names} == {"epoch"}
    assert axes["train/loss_step"] == "trainer/global_step"


def test_final_scores_with_their_intervals_are_its_summary(logged, finished):
    found = summary(logged)
    rows = read_results(finished / "evaluation_results.csv")
    own = [row for row in rows if (row.system, row.slice) == ("model", "all")]
    assert len(own) == 15
    for row in own:
        assert found[f"test/{row.metric}"] == pytest.approx(row.value)
        assert found.get(f"test/{row.metric}_ci_low") == (row.ci_low and pytest.approx(row.ci_low))
    bounded, without = (
        dataclasses.replace(own[0], ci_low=0.1, ci_high=0.3),
        dataclasses.replace(own[1], ci_low=None, ci_high=None),
    )
    names = [f"test/{bounded.metric}{end}" for end in ("", "_ci_low", "_ci_high")]
    assert list(scores_by_name([bounded, without])) == [*names, f"test/{without.metric}"]


def test_images_stand_in_a_table_with_captions_references_and_attribution(logged, finished):
    artifact = next(r.artifact for r in logged if r.HasField("artifact") and r.artifact.type == "run_table")
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    assert all(path.is_relative_to(finished) for path in files.values())
    table = json.loads(files["images.table.json"].read_text())
    assert table["columns"] == ["id", "image", "caption", "references", "attribution"]
    assert len(table["data"]) == 6
    for identity, image, caption, references, _ in table["data"]:
        assert identity.startswith("phantom_test_") and caption and references
        with Image.open(files[image["path"]]) as drawn:
            assert drawn.size == (224, 224)


def test_a_sweep_is_a_group_whose_runs_are_named_by_what_differs(place, run):
    words = [*SMALL, "data.source.train=16", "trainer.max_epochs=1", "metrics=[]", "logger=[csv,wandb]"]
    done = run(ROOT / "train.py", "-m", *words, "logger.wandb.log_model=true", "lora.rank=2,4", "name=grouped")
    assert done.returncode == 0, done.stdout + done.stderr
    folders = [RunFolder(place / "multirun" / "grouped" / f"lora.rank={rank}") for rank in (2, 4)]
    for folder in folders:
        found = [record for file in segments(folder.path, folder.state["wandb_id"]) for record in records(file)]
        assert (the_run(found).run_group, the_run(found).display_name) == ("grouped", folder.path.name)
        assert len([record for record in found if record.HasField("exit")]) == 1
        kept = [record.artifact for record in found if record.HasField("artifact") and record.artifact.type == "model"]
        assert len(kept) == 1 and kept[0].name == f"adapter-{folder.state['wandb_id']}"
        assert "adapter_model.safetensors" in {entry.path for entry in kept[0].manifest.contents}
    assert folders[0].state["wandb_id"] != folders[1].state["wandb_id"]


@pytest.fixture
def begun(tmp_path):
    """A run's folder with two epochs of 4 steps; its checkpoint is of `steps`, and W&B's file has `epochs`."""

    def make(epochs, steps):
        folder = RunFolder(tmp_path)
        for epoch in (0, 1):
            folder.add_metrics(epoch, {"step": 4.0 * (epoch + 1), "lr": 0.5, "train/loss": 2.0 - epoch})
        if steps:
            folder.checkpoints.mkdir()
            torch.save({"global_step": steps}, folder.checkpoints / "last.ckpt")
        with wandb.init(dir=tmp_path, id="abc", mode="offline", settings=SETTINGS) as run:
            for epoch in epochs:
                for step in range(4 * epoch, 4 * epoch + 4):
                    run.log({"train/loss_step": 1.0, "epoch": epoch, "trainer/global_step": step})
                run.log({"lr": 0.5, "epoch": epoch, "trainer/global_step": 4 * epoch + 3})
        written(tmp_path, 5 * len(epochs))
        return folder

    return make


def written(folder, rows):
    """A run's files, once W&B's service has written so many rows: it does so beside a process that has finished."""
    deadline = time.monotonic() + 60
    while len(history(files := segments(folder, "abc"))) < rows and time.monotonic() < deadline:
        time.sleep(0.05)
    return files


SETTINGS = wandb.Settings(silent=True, console="off", x_disable_stats=True)


def test_a_run_goes_on_from_what_its_checkpoint_knows(begun):
    identity, start, missing = going_on(begun(epochs=(0, 1), steps=4), "abc")
    assert identity == "abc" and missing == []
    assert start == {"id": None, "resume": None, "resume_from": "abc?_step=4"}


def test_epochs_that_a_kill_has_lost_are_logged_again(begun):
    _, start, missing = going_on(begun(epochs=(0,), steps=8), "abc")
    assert start["resume_from"] == "abc?_step=4"
    assert missing == [{"epoch": 1, "step": 8, "lr": 0.5, "train/loss": 1}]


def test_a_run_of_which_nothing_was_written_keeps_its_id(begun):
    identity, start, missing = going_on(begun(epochs=(), steps=8), "abc")
    assert start == {"id": identity, "resume": None} and identity == "abc"
    assert [row["epoch"] for row in missing] == [0, 1]


def test_a_run_that_starts_over_has_a_new_id(begun):
    identity, start, missing = going_on(begun(epochs=(0,), steps=0), "abc")
    assert identity != "abc" and start == {"id": identity, "resume": None} and missing == []


def test_a_file_of_many_blocks_is_read_as_far_as_it_was_written(tmp_path):
    with wandb.init(dir=tmp_path, id="abc", mode="offline", settings=SETTINGS) as run:
        for step in range(400):
            run.log({"value": step, "text": "x" * step * 3})
    (file,) = written(tmp_path, 400)
    assert [row["value"] for row in history([file])] == list(range(400))
    data = file.read_bytes()
    assert len(data) > 5 * 2**15
    for size in (len(data) // 2, 3 * 2**15 - 3, 2**15 + 2, 7, 0):
        file.write_bytes(data[:size])
        values = [row["value"] for row in history([file])]
        assert values == list(range(len(values))) and len(values) < 400
