"""Augmentation changes training images a little, the same way again after a stop, and mirrors none."""

from dataclasses import replace

import pytest
import torch
from commands import ROOT
from omegaconf import OmegaConf
from PIL import Image
from test_optimizers import fit, settings

from rococap.config import build
from rococap.training.augment import Augment, sheet

STILL = Augment(rotation=0, shift=0, scale=0, brightness=0, contrast=0, gamma=0, noise=0)


@pytest.fixture(scope="module")
def light():
    return build(OmegaConf.load(ROOT / "conf" / "augment" / "light.yaml"))


@pytest.fixture
def images():
    """A smooth picture that differs on its left and right, and above and below; not square."""
    down, right = torch.linspace(0, 1, 48)[:, None], torch.linspace(0, 1, 64)[None, :]
    picture = (200 * down * right + 40 * right).to(torch.uint8)
    return picture.expand(16, 3, 48, 64).clone()


def parameters(module):
    return module.captioner.parameters()


def close(a, b):
    return (a.float() - b.float()).abs().mean().item()


def test_nothing_asked_is_nothing_done(images):
    assert torch.equal(STILL(images), images)
    assert build(OmegaConf.load(ROOT / "conf" / "augment" / "none.yaml")) is None


@pytest.mark.parametrize(
    "setting", ["rotation", "shift", "scale", "brightness", "contrast", "gamma", "noise"], ids=lambda name: name
)
def test_each_setting_does_something_of_its_own_to_each_image(setting, images, light):
    torch.manual_seed(0)
    changed = replace(STILL, **{setting: getattr(light, setting)})(images)
    assert changed.dtype == torch.uint8 and changed.shape == images.shape
    assert len({row.numpy().tobytes() for row in changed}) > len(images) / 2  # each its own draw
    assert 0 < close(changed, images) < 16


def test_light_changes_little_and_never_mirrors(images, light):
    torch.manual_seed(0)
    for changed in (light(images) for _ in range(20)):
        near, mirrored = close(changed, images), close(changed, images.flip(-1))
        assert near < 20 < mirrored


def test_a_right_angle_of_a_picture_that_is_not_square(images, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *shape, device: torch.ones(shape))  # the far end of every range
    turned = replace(STILL, rotation=90)(images)[0, 0]
    inner = turned[:, 8:56]  # the middle 48 x 48
    expected = torch.rot90(images[0, 0, :, 8:56])
    assert min(close(inner, expected), close(inner, expected.flip(0).flip(1))) < 2


def test_the_same_seed_draws_the_same(images, light):
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(light(images))
    assert torch.equal(*draws)
    state = torch.random.get_rng_state()
    picture = sheet(light, images[:4], 5)
    assert torch.equal(torch.random.get_rng_state(), state)  # looking changes no run
    assert isinstance(picture, Image.Image) and picture.size == (6 * 64, 4 * 48)


def test_only_training_images_change_and_the_same_again_after_a_stop(light, tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    seen = []

    def augment(pixel_values):
        seen.append(light(pixel_values))
        return seen[-1]

    config = settings("adamw")
    plain, _ = fit(config, tmp_path / "plain", 2)
    losses, whole = fit(config, tmp_path / "whole", 2, augment=augment)
    assert losses != plain and len(seen) == 2 * 6  # epochs, batches of training
    rest, again = fit(config, tmp_path / "rest", 2, tmp_path / "whole" / "epoch=0.ckpt", augment=augment)
    assert rest == losses[1:]
    assert all(torch.equal(a, b) for a, b in zip(seen[6:12], seen[12:], strict=True))
    assert all(torch.equal(*pair) for pair in zip(parameters(whole), parameters(again), strict=True))
