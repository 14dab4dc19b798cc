import json
from pathlib import Path

import pytest
import torch
from checkpoints import gpt2_directory
from open_clip_checkpoints import BLOCKS, CONFIG, PATCH, WIDTH, biomedclip_directory, timm_state
from torch.nn import functional

from rococap.models import biomedclip
from rococap.models.loading import Loading
from rococap.models.towers import load_tower
from rococap.models.vit_gpt2 import fresh
from rococap.types import UserError


@pytest.fixture
def directory(tmp_path):
    return biomedclip_directory(tmp_path / "tower")


def timms_formula(state, pixels):
    """What timm's VisionTransformer computes, written out: pre-norm blocks with heads of 64, and a norm at the end."""

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    patches = functional.conv2d(pixels, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=PATCH)
    x = torch.cat([state["cls_token"].expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
    x = x + state["pos_embed"]
    for block in (f"blocks.{number}" for number in range(BLOCKS)):
        # [3, batch, heads, positions, 64]
        heads = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").unflatten(2, (3, -1, 64)).permute(2, 0, 3, 1, 4)
        query, key, value = heads
        seen = (query @ key.transpose(-1, -2) / 8).softmax(-1) @ value
        x = x + linear(seen.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        x = x + linear(functional.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")), f"{block}.mlp.fc2")
    return norm(x, "norm")


def test_the_tower_computes_what_timms_does(directory):
    tower = load_tower(str(directory), Loading())
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = tower.module.eval()(pixel_values=pixels).last_hidden_state
    assert ours.shape == (2, 17, WIDTH) and tower.grid == (4, 4) and tower.new == frozenset()
    torch.testing.assert_close(ours, timms_formula(timm_state(), pixels), rtol=1e-4, atol=1e-4)


def test_images_are_cropped_and_normalised_as_open_clip_does(directory):
    settings = load_tower(str(directory), Loading()).settings
    assert (settings.geometry, settings.shortest, settings.size, settings.resample) == ("crop", 32, (32, 32), 3)
    assert settings.mean == tuple(CONFIG["preprocess_cfg"]["mean"]) and settings.std[0] == 0.26862954


def test_it_comes_from_the_hub_as_well(directory, tmp_path, monkeypatch):
    name = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"

    def download(path, file):
        assert path == name
        return str(directory / file)

    def no_config(path):
        raise OSError(f"{path} does not appear to have a file named config.json")

    monkeypatch.setattr(biomedclip, "hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("rococap.models.hub.AutoConfig.from_pretrained", no_config)
    tower = load_tower(name, Loading())
    assert str(directory) not in tower.code
    opened = {"torch": torch, "transformers": __import__("transformers")}
    exec(tower.code, opened)
    again = opened["encoder"].state_dict()
    assert all(torch.equal(value, again[key]) for key, value in tower.module.state_dict().items())


def test_another_tower_of_open_clips_is_refused(directory, tmp_path):
    torch.save({"visual.conv1.weight": torch.zeros(1)}, directory / "open_clip_pytorch_model.bin")
    decoder = gpt2_directory(tmp_path / "decoder")
    with pytest.raises(UserError, match=r"only timm's ViT is read, as BiomedCLIP has it"):
        fresh(str(directory), str(decoder))
    state = {f"visual.trunk.{name}": value for name, value in timm_state().items() if name != "norm.bias"}
    torch.save(state, directory / "open_clip_pytorch_model.bin")
    with pytest.raises(UserError, match=r"cannot be loaded as a model: 'norm.bias'"):
        fresh(str(directory), str(decoder))
    (directory / "open_clip_config.json").write_text(json.dumps(CONFIG)[:20])
    with pytest.raises(UserError, match=r"holds no model"):
        fresh(str(directory), str(decoder))
    with pytest.raises(UserError, match=r"holds no model"):
        load_tower(str(Path(directory).parent), Loading())
