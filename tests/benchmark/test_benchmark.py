"""The benchmark measures the same work on both sides, and its limit is made of the products that a step does."""

import json

import pytest
import torch
from commands import ROOT, SHARED, command, shape

from rococap.benchmark.limit import Products, seconds
from rococap.benchmark.work import TOKENIZER, draw, network
from rococap.data.rocov2 import RocoV2
from rococap.models.hub import load_tokenizer

BASELINE = SHARED / "bench" / "hf_trainer_baseline.py"


def test_the_limit_counts_each_matrix_product_of_a_step_once():
    captioner = network("tiny", TOKENIZER).train()
    batch, tokens, width, layers, vocabulary = 2, 5, 192, 4, 50257
    features = torch.randn(batch, *shape(captioner))
    ids, mask = torch.randint(5, 200, (batch, tokens)), torch.ones(batch, tokens, dtype=torch.long)
    with Products() as found:
        loss, _ = captioner(features, ids, mask)
    forward = found.flop
    rows, seen = batch * tokens, features.shape[0] * features.shape[1]

    def lora(n, inputs, outputs):
        return 2 * n * 16 * (inputs + outputs)

    def linear(n, inputs, outputs):
        return 2 * n * inputs * outputs

    layer = sum(
        linear(n, width * a, width * b) + lora(n, width * a, width * b)
        for n, a, b in ((rows, 1, 3), (rows, 1, 1), (seen, 1, 2), (rows, 1, 1), (rows, 4, 1))
    )
    layer += linear(rows, width, width) + linear(rows, width, 4 * width)  # queries of cross-attention, and the MLP's
    layer += 4 * batch * tokens * width * (tokens + features.shape[1])  # scores and values
    assert forward == layers * layer + linear(rows, width, vocabulary)
    with Products() as found:
        loss.backward()
    inner = {frozenset(shape[1:]) for shape in found.shapes}  # whichever side a library transposes
    assert frozenset((16, rows, 3 * width)) in inner  # LoRA's factor of c_attn has a gradient,
    assert frozenset((width, rows, 3 * width)) in inner  # and so has what c_attn was given,
    sums = [shape for shape in found.shapes if shape[2] == rows and {shape[1], shape[3]} == {width, 3 * width}]
    assert sums == []  # but its own weight, a sum over rows, has none
    assert frozenset((width, seen, 2 * width)) not in inner  # nor have the kept features


def test_the_limit_takes_time():
    assert seconds([(1, 8, 8, 8)] * 3, torch.float32, "cpu") > 0


def test_drawn_data_has_captions_as_long_as_real_ones(tmp_path):
    examples = RocoV2(str(draw(tmp_path, 200))).examples("train")
    tokenizer = load_tokenizer(str(TOKENIZER))
    lengths = sorted(len(example.captions[0].split()) for example in examples)
    assert len(examples) == 200 and 22 <= lengths[100] <= 33 and lengths[-1] <= 127
    assert examples[0].image.open().size == (500, 500) and tokenizer.eos_token_id is not None


def bench(*words, tmp_path):
    done = command("scripts/benchmark.py", *words, "--json", tmp_path / "b.json", cwd=ROOT, cache=tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((tmp_path / "b.json").read_text())


@pytest.mark.parametrize(
    "words", [("data", "--images", 40), ("generate", "--size", "tiny", "--images", 2, "--max-length", 4)]
)
def test_a_part_is_measured_against_its_plain_counterpart(words, tmp_path):
    result = bench(*words, tmp_path=tmp_path)
    assert result["ratio"] > 0 and len(result["sides"]) >= 2 and min(result["sides"].values()) > 0


@pytest.mark.slow
def test_a_sweep_is_measured_against_its_jobs_parts(tmp_path):
    result = bench("sweep", tmp_path=tmp_path)
    alone, whole, again = result["sides"].values()
    assert result["ratio"] == pytest.approx(whole / alone) and min(alone, whole, again) > 0
    assert "of 4 jobs" in next(iter(result["sides"]))


def test_a_baseline_that_does_other_work_is_refused(tmp_path):
    script = tmp_path / "baseline.py"
    script.write_text('print(\'{"images": 3, "epochs": 1, "batch_size": 4, "seconds": 1}\')')
    words = ("train", "--baseline", script, "--size", "tiny", "--images", 4, "--epochs", 1, "--batch-size", 4)
    done = command("scripts/benchmark.py", *words, cwd=ROOT, cache=tmp_path)
    assert done.returncode == 2 and "did other work than it was given" in done.stderr


def test_without_a_baseline_it_says_what_it_needs(tmp_path):
    done = command("scripts/benchmark.py", "train", cwd=ROOT, cache=tmp_path)
    assert done.returncode == 2 and "--baseline" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not BASELINE.is_file(), reason="the shared baseline is not here")
def test_training_is_compared_with_a_real_baseline(tmp_path):
    words = (
        "train",
        "--baseline",
        BASELINE,
        "--size",
        "tiny",
        "--images",
        16,
        "--epochs",
        2,
        "--plot",
        tmp_path / "b.html",
    )
    result = bench(*words, tmp_path=tmp_path)
    assert {"ratio", "ratio_longest", "share_of_limit", "images_per_second"} <= result.keys()
    assert result["sides"]["rococap"][0]["images"] == 16
    assert (tmp_path / "b.html").stat().st_size > 1_000_000
