"""The tiny captioner that ships: what its card promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import ROOT
from safetensors import safe_open
from transformers import AutoTokenizer, VisionEncoderDecoderModel

import rococap
from rococap.data.phantom.source import Phantom
from rococap.metrics.facts import Facts
from rococap.models.tiny import tiny

DIRECTORY = Path(rococap.__file__).parent / "assets" / "tiny_captioner"
SCRIPTS = ROOT / "scripts"


@pytest.fixture(scope="module")
def model() -> VisionEncoderDecoderModel:
    return VisionEncoderDecoderModel.from_pretrained(DIRECTORY, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DIRECTORY)


def test_is_small():
    assert sum(path.stat().st_size for path in DIRECTORY.rglob("*")) < 5_000_000


def test_opens_with_plain_transformers(model: VisionEncoderDecoderModel):
    assert sum(parameter.numel() for parameter in model.parameters()) < 2_000_000
    with safe_open(DIRECTORY / "model.safetensors", "pt") as weights:
        assert not [name for name in weights.keys() if "pooler" in name]  # noqa: SIM118
    assert model.decoder.config.add_cross_attention
    assert model.decoder.config.n_positions >= 160


@pytest.mark.parametrize("text", ["CT of the head.", "Übermaß 3 µm ≥ 左肺 \U0001fac1", " two  blanks\tand\nlines", ""])
def test_the_tokenizer_spells_anything(text: str, tokenizer):
    assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text


def test_the_tokenizer_knows_words_of_radiology(tokenizer):
    captions = [example.captions[0] for example in Phantom(train=200, valid=1, test=1, seed=0).examples("train")]
    words = sum(len(caption.split()) for caption in captions)
    assert sum(len(tokenizer(caption)["input_ids"]) for caption in captions) < 2 * words


def test_one_token_starts_ends_and_pads(model: VisionEncoderDecoderModel, tokenizer):
    assert tokenizer.bos_token == tokenizer.eos_token == tokenizer.pad_token == "<|endoftext|>"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.decoder_start_token_id == tokenizer.bos_token_id


def test_says_what_is_in_scenes_and_stops(model: VisionEncoderDecoderModel, tokenizer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from scene_batches import accuracy

    shares = accuracy(model, tokenizer, images=150)
    assert shares.pop("ends") == 1
    assert min(shares.values()) > 0.65, shares
    assert min(shares[fact] for fact in ("ground", "tone", "across", "down", "size")) > 0.9, shares


def test_knows_nothing_of_the_phantom_before_adaptation():
    captioner = tiny().eval()
    examples = Phantom(train=1, valid=1, test=60, seed=0).examples("test")
    pixels = [captioner.processor.pixels(example.image.open().convert("RGB")) for example in examples]
    with torch.no_grad():
        features = captioner.encode(torch.stack([torch.from_numpy(image) for image in pixels]))
        said = captioner.generate(features, max_new_tokens=60, num_beams=1)
    assert Facts()(said, [list(example.captions) for example in examples]).corpus["facts"] < 0.5
