"""LLaVA-Med from Microsoft's files: equal to the model that they were made from, read once, and converted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import ROOT, command
from llava_med_checkpoints import llava_med_directory
from PIL import Image
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from rococap.models.llava_med import llava_med
from rococap.models.vlm import vlm
from rococap.types import UserError

PROMPT = "[INST] <image>\nDescribe the image. [/INST] "


def inputs(captioner, size=(60, 44)):
    torch.manual_seed(0)
    pixels = captioner.processor.pixels(Image.effect_noise(size, 60).convert("RGB"))
    ids = torch.tensor([[*captioner.prompt_ids, 5, 6, 7]])
    return (torch.from_numpy(pixels)[None].float() - captioner.mean) / captioner.std, ids


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("named", [False, True])
@torch.no_grad()
def test_it_is_the_model_that_the_files_were_made_from(tmp_path, kind, named):
    (tmp_path / "model").mkdir()
    tower = tmp_path / "tower" if named else None
    twin = llava_med_directory(tmp_path / "model", kind=kind, tower=tower).eval()
    captioner = llava_med(str(tmp_path / "model")).eval()
    assert not captioner.new
    assert captioner.model.config.text_config.rope_parameters["rope_theta"] == 1e6
    assert captioner.processor.images.geometry == "pad"
    assert captioner.prompt.text.endswith(PROMPT.replace("<image>", "<unk>"))
    state, theirs = captioner.model.state_dict(), twin.state_dict()
    assert state.keys() == theirs.keys()
    assert all(torch.equal(state[name], theirs[name]) for name in state)


def test_a_tower_of_ones_own(tmp_path):
    (tmp_path / "inside").mkdir(), (tmp_path / "by_name").mkdir()
    llava_med_directory(tmp_path / "inside")
    llava_med_directory(tmp_path / "by_name", tower=tmp_path / "tower")
    own = llava_med(str(tmp_path / "inside"))
    given = llava_med(str(tmp_path / "inside"), vision_tower=str(tmp_path / "tower"))
    assert own.tower_digest() == given.tower_digest() == llava_med(str(tmp_path / "by_name")).tower_digest()
    (tmp_path / "tower").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="tower"):
        llava_med(str(tmp_path / "by_name"))


def test_converted_it_opens_with_plain_transformers(tmp_path):
    (tmp_path / "theirs").mkdir()
    llava_med_directory(tmp_path / "theirs", dtype=torch.bfloat16)
    script = [ROOT / "scripts" / "convert_llava_med.py", "--path", tmp_path / "theirs"]
    done = command(*script, "--out", tmp_path / "ours", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    captioner = llava_med(str(tmp_path / "theirs")).eval()
    opened = LlavaForConditionalGeneration.from_pretrained(tmp_path / "ours", dtype=torch.float32).eval()
    pixels, ids = inputs(captioner)
    with torch.no_grad():
        expected = captioner.model(input_ids=ids, pixel_values=pixels).logits
        torch.testing.assert_close(opened(input_ids=ids, pixel_values=pixels).logits, expected, rtol=0, atol=0)
    again = vlm(str(tmp_path / "ours"), prompt=PROMPT).eval()
    assert again.prompt_ids == captioner.prompt_ids and again.settings.geometry == "pad"
    assert json.loads((tmp_path / "ours" / "processor_config.json").read_text())["image_token"] == "<unk>"
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
    template = (tmp_path / "ours" / "chat_template.jinja").read_text()
    said = AutoTokenizer.from_pretrained(tmp_path / "ours").apply_chat_template(
        message, chat_template=template, tokenize=False
    )
    assert said.endswith("[INST] <unk>\nWhat is it? [/INST] ")
    assert "is not empty" in command(*script, "--out", tmp_path / "ours", cwd=tmp_path, cache=tmp_path).stderr


def test_what_is_missing_is_said_before_weights_are_read(tmp_path):
    llava_med_directory(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"mm_projector_type": "linear"}))
    with pytest.raises(UserError, match="projector is of type linear"):
        llava_med(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="2 places for the image"):
        llava_med(str(tmp_path), prompt="<image> and <image>")
    with pytest.raises(UserError, match="model=llava_med reads it"):
        vlm(str(tmp_path))
    shard = min(tmp_path.glob("model-*.safetensors"))
    shard.unlink()
    with pytest.raises(UserError, match=f"such as {shard.name}"):
        llava_med(str(tmp_path))


MEASURE = """
import re, sys
from pathlib import Path
import torch, bitsandbytes
from transformers import CLIPVisionModel, LlavaForConditionalGeneration
from rococap.models.llava_med import convert, llava_med
from rococap.models.loading import Loading

def now(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

before = now("VmRSS")
llava_med(sys.argv[1], loading=Loading("auto", sys.argv[2], torch.bfloat16))
print(now("VmHWM") - before)
"""


@pytest.mark.slow  # minutes: a gigabyte of weights is written and rounded
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("weights", "kind"), [("none", "safetensors"), ("nf4", "safetensors"), ("int8", "safetensors"), ("nf4", "bin")]
)
def test_it_is_in_memory_once_however_it_is_rounded(tmp_path, weights, kind):
    wide = {"hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8}
    llava_med_directory(tmp_path, dtype=torch.bfloat16, kind=kind, shard="500MB", num_hidden_layers=3, **wide)
    published = sum(file.stat().st_size for file in tmp_path.glob(f"*.{kind}"))
    assert published > 2**30
    measured = [sys.executable, "-c", MEASURE, tmp_path, weights]
    done = subprocess.run(measured, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 1.3 * published
