"""Published models as they are: captioned with and scored, without training; the one that comes with rococap stands for
all."""

import numpy as np
import pytest
from commands import ROOT, SMALL
from made_dicom import SECRET, dataset, written
from PIL import Image

from rococap.data.image import read
from rococap.data.phantom.source import Phantom
from rococap.runs.folder import RunFolder
from rococap.runs.results import FILE, read_results

CAPTION, EVALUATE = ROOT / "scripts" / "caption.py", ROOT / "scripts" / "evaluate.py"
FEW = [*(word for word in SMALL if not word.startswith("model=")), "metrics=[facts,bleu]", "logger=[csv]"]


@pytest.fixture(scope="module")
def untrained(place, run):
    done = run(EVALUATE, "--model", "tiny", *FEW, "name=untrained")
    assert done.returncode == 0, done.stdout + done.stderr
    return RunFolder(place / "multirun" / "untrained"), done


def test_it_is_scored_as_a_run_that_trains_nothing(untrained):
    folder, done = untrained
    assert folder.done and folder.state["trainable_parameters"] == 0 and "bleu_1" in done.stdout
    rows = read_results(folder.path / FILE)
    assert {row.system for row in rows} == {"model", "common", "nearest", "prior"}  # the base is the model itself
    assert {row["epoch"] for row in folder.metrics()} == {"0"} and "val/facts" in folder.metrics()[0]
    assert (folder.path / "report.html").is_file() and not (folder.path / "adapter").exists()


def test_the_same_command_shows_it_again_and_another_split_is_scored_beside_it(untrained, run):
    folder, _ = untrained
    before = (folder.path / "predictions" / "test.jsonl").stat().st_mtime_ns
    again = run(EVALUATE, "--model", "tiny", *FEW, "name=untrained")
    assert again.returncode == 0 and "bleu_1" in again.stdout
    assert (folder.path / "predictions" / "test.jsonl").stat().st_mtime_ns == before
    valid = run(EVALUATE, "--run", folder.path, "--split", "valid")
    assert valid.returncode == 0, valid.stderr
    assert {row.split for row in read_results(folder.path / FILE)} == {"test", "valid"}


@pytest.mark.slow
def test_a_table_of_several_is_a_sweep(place, run):
    words = ["-m", "lora=zero_shot", "model.visual_tokens=49,196", *FEW, "model=tiny", "name=several"]
    done = run(ROOT / "train.py", *words)
    assert done.returncode == 0 and "model.visual_tokens=49" in done.stdout, done.stderr
    compared = run(ROOT / "scripts" / "compare.py", place / "multirun" / "several")
    assert compared.returncode == 0 and "facts" in compared.stdout, compared.stderr


def test_images_are_captioned_and_what_cannot_be_read_is_named(place, run):
    for number, example in enumerate(Phantom(train=1, valid=1, test=2, seed=0).examples("test")):
        example.image.open().save(place / f"{number}.png")
    done = run(CAPTION, "--model", "tiny", "decoding.max_new_tokens=12", "0.png", "none.png", "1.png")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [name for name, _ in lines] == ["0.png", "1.png"] and all(caption for _, caption in lines)
    assert done.returncode == 1 and "none.png" in done.stderr


def test_dicom_files_are_captioned_and_their_tags_are_not(place, run):
    drawn = np.asarray(read(Phantom(train=1, valid=1, test=1, seed=0).examples("test")[0].image))
    Image.fromarray(drawn).save(place / "drawn.png")
    frames = np.stack([drawn // 9, drawn])
    (place / "IM1").write_bytes(written(dataset(frames, colours=3, frames=2)))
    (place / "named.dcm").write_bytes(written(dataset(drawn, colours=3, BurnedInAnnotation="YES")))
    (place / "half.dcm").write_bytes(written(dataset(drawn, colours=3))[:-999])
    files = ["drawn.png", "IM1", "named.dcm", "half.dcm"]
    done = run(CAPTION, "--model", "tiny", "decoding.max_new_tokens=12", *files, "--burned-in", "--frame", "middle")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [name for name, _ in lines] == files[:3] and len({caption for _, caption in lines}) == 1
    assert done.returncode == 1 and "error: half.dcm: cannot be decoded (a DICOM file that is damaged" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "tny", "0.png"], "did you mean tiny?"),
        (["--model", "tiny", "model.visual_token=49", "0.png"], "did you mean"),
        (["--model", "tiny"], "the following arguments are required: IMAGE"),
        (["--model", "tiny", "decoding.num_beams=3"], "no image file was given"),
        (["0.png"], "one of the arguments --run --model is required"),
    ],
)
def test_what_is_wrong_is_said_at_once(run, words, said):
    done = run(CAPTION, *words)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
