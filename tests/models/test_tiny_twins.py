"""The twins of the tiny captioner: its tower and words in other formats, and what their cards promise."""

import json

import pytest
import torch
from commands import ROOT, SMALL, command
from transformers import (
    AutoTokenizer,
    BlipForConditionalGeneration,
    InternVLForConditionalGeneration,
    VisionEncoderDecoderModel,
)

from rococap.data.phantom.source import Phantom
from rococap.metrics.facts import Facts
from rococap.models.tiny import ASSETS, DIRECTORY, tiny_blip, tiny_vlm

CLASSES = {"tiny_blip": BlipForConditionalGeneration, "tiny_vlm": InternVLForConditionalGeneration}
MODELS = {"tiny_blip": tiny_blip, "tiny_vlm": tiny_vlm}


@pytest.fixture(scope="module", params=CLASSES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return CLASSES[name].from_pretrained(ASSETS / name, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(name):
    return AutoTokenizer.from_pretrained(ASSETS / name)


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))


def test_is_small(name):
    assert sum(path.stat().st_size for path in (ASSETS / name).rglob("*")) < 4_000_000


def test_sees_what_the_tiny_captioner_sees(name, model):
    shipped = VisionEncoderDecoderModel.from_pretrained(DIRECTORY, dtype=torch.float32).encoder.eval()
    tower = model.vision_model if name == "tiny_blip" else model.model.vision_tower
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(
            tower(pixels).last_hidden_state, shipped(pixels).last_hidden_state, rtol=0, atol=1e-5
        )


def test_has_its_words(tokenizer):
    shipped = AutoTokenizer.from_pretrained(DIRECTORY)
    text = "In the top left there is one small bright ring; CT of the thorax, Übermaß 3 µm."
    assert tokenizer(text)["input_ids"] == shipped(text)["input_ids"]
    assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text


def test_says_what_is_in_scenes_and_stops(name, model, tokenizer, scripts):
    from scene_batches import accuracy

    shares = accuracy(model, tokenizer, images=100)
    assert shares.pop("ends") == 1
    assert min(shares.values()) > 0.5, shares
    assert min(shares[fact] for fact in ("ground", "tone", "down", "size")) > 0.85, shares
    assert shares["across"] > {"tiny_blip": 0.9, "tiny_vlm": 0.6}[name], shares


def test_a_row_of_captions_is_as_good_as_a_row_each(name, scripts):
    from tiny_twins import TWINS, side_by_side

    shipped = VisionEncoderDecoderModel.from_pretrained(DIRECTORY, dtype=torch.float32).eval()
    twin = TWINS[name.removeprefix("tiny_")](shipped, AutoTokenizer.from_pretrained(DIRECTORY))
    twin.model.eval()
    captions = [twin.ids(caption) for caption in ("Two balls, on a wall.", "Nothing over the hills.", "A ring.")]
    features = torch.randn(1, 197, 128, generator=torch.Generator().manual_seed(0))

    def logits(*pictures):
        torch.manual_seed(0)  # which grid BLIP meets is drawn
        return twin.logits(features.expand(len(pictures), -1, -1), side_by_side(list(pictures), twin.start()))

    with torch.no_grad():
        torch.testing.assert_close(logits(captions), logits(*([caption] for caption in captions)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("visual_tokens", [None, 49])
def test_knows_nothing_of_the_phantom_before_adaptation(name, visual_tokens):
    captioner = MODELS[name](visual_tokens).eval()
    assert captioner.grid == ((14, 14) if (name, visual_tokens) == ("tiny_blip", None) else (7, 7))
    examples = Phantom(train=1, valid=1, test=30, seed=0).examples("test")
    pixels = [captioner.processor.pixels(example.image.open().convert("RGB")) for example in examples]
    with torch.no_grad():
        features = captioner.encode(torch.stack([torch.from_numpy(image) for image in pixels]))
        said = captioner.generate(features, max_new_tokens=60, num_beams=1)
    assert Facts()(said, [list(example.captions) for example in examples]).corpus["facts"] < 0.5


@pytest.mark.slow
def test_three_families_take_part_in_one_sweep(tmp_path):
    small = [word for word in SMALL if not word.startswith(("model=", "trainer.max_epochs="))]
    words = ["sweep=architecture", *small, "metrics=[facts]", "logger=[csv]", "trainer.max_epochs=1", "name=three"]
    ran = command(ROOT / "train.py", *words, "model.visual_tokens=49", cwd=tmp_path, cache=tmp_path / "cache")
    assert ran.returncode == 0, ran.stderr
    states = [json.loads(path.read_text())["state"] for path in (tmp_path / "multirun" / "three").glob("*/run.json")]
    assert states == ["finished"] * 3
