"""Every optimizer of conf/: it learns, and a run that was stopped ends as one that was not."""

from functools import partial

import bitsandbytes
import pytest
import pytorch_lightning as pl
import torch
from commands import CONF, DATA, LORA
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint

from rococap.config import build
from rococap.data.datamodule import CaptionData
from rococap.data.phantom.source import Phantom
from rococap.models.base import captioner_state
from rococap.models.lora import add_lora
from rococap.models.tiny import tiny
from rococap.training.module import CaptionModule
from rococap.training.optim import constant, refuse_paged
from rococap.types import UserError


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROCOCAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def settings(name):
    """A file of conf/optimizer as Hydra would give it, with a rate that teaches the tiny model in a few steps."""
    config = OmegaConf.load(CONF / "optimizer" / f"{name}.yaml")
    config.pop("defaults", None)
    config.lr *= 10
    return config


def fit(config, folder, epochs, checkpoint=None, augment=None, **trainers):
    """Train by an optimizer's config; gives validation's loss after each epoch, and the module."""
    torch.manual_seed(0)
    captioner = tiny()
    add_lora(captioner, **(LORA | {"rank": 16, "dropout": 0.1}))
    data = CaptionData(Phantom(train=24, valid=4, test=1, seed=0), captioner.processor, batch_size=4, **DATA)
    schedule = partial(constant, warmup=0.1)
    module = CaptionModule(captioner, build(config, _convert_="all"), schedule, None, {}, seed=0, augment=augment)
    losses = []

    class Losses(pl.Callback):
        def on_validation_end(self, trainer, pl_module):
            losses.append(float(trainer.callback_metrics["val/loss"]))

    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=[Losses(), ModelCheckpoint(folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        max_epochs=epochs,
        **trainers,
    )
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    return losses, module


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit", "lion_8bit", "adafactor", "schedule_free"])
def test_it_learns_and_goes_on_as_if_never_stopped(name, tmp_path):
    losses, whole = fit(settings(name), tmp_path / "whole", 3)
    assert losses[2] < losses[1] < losses[0] and losses[2] < 0.9 * losses[0]
    saved = torch.load(tmp_path / "whole" / "epoch=2.ckpt", weights_only=True)
    expected = captioner_state(saved)
    assert all(torch.equal(expected[key], value) for key, value in whole.captioner.trainable_state().items())

    rest, _ = fit(settings(name), tmp_path / "rest", 3, tmp_path / "whole" / "epoch=0.ckpt")
    assert rest == losses[1:]
    again = captioner_state(torch.load(tmp_path / "rest" / "epoch=2.ckpt", weights_only=True))
    assert all(torch.equal(again[key], value) for key, value in expected.items())


def test_eight_bits_are_eight_bits(tmp_path):
    _, module = fit(settings("adamw_8bit"), tmp_path, 1)
    states = module.trainer.optimizers[0].state.values()
    large = [state for state in states if state["state1"].numel() >= 4096]  # smaller ones stay in full
    assert large and all(state[key].dtype == torch.uint8 for state in large for key in ("state1", "state2"))


def test_schedule_free_saves_the_average_that_was_validated(tmp_path):
    losses, module = fit(settings("schedule_free"), tmp_path, 2)
    average = captioner_state(torch.load(tmp_path / "epoch=1.ckpt", weights_only=True))
    (optimizer,) = module.trainer.optimizers
    module.captioner.load_trainable_state(average)
    batch = next(iter(module.trainer.datamodule.val_dataloader()))
    module.captioner.eval()

    def loss():
        with torch.no_grad():
            summed, count = module.captioner(
                module.captioner.encode(batch.pixel_values), batch.input_ids, batch.attention_mask
            )
        return float(summed / count)

    assert loss() == pytest.approx(losses[1], rel=1e-5)
    optimizer.train()
    assert loss() != pytest.approx(losses[1], rel=1e-5)


def test_schedule_free_saves_the_average_of_an_epoch_that_was_not_validated(tmp_path):
    saved = []
    for name, every in (("each", 1), ("seldom", 2)):
        fit(settings("schedule_free"), tmp_path / name, 2, check_val_every_n_epoch=every)
        saved.append(captioner_state(torch.load(tmp_path / name / "epoch=0.ckpt", weights_only=True)))
    assert all(torch.equal(value, saved[1][key]) for key, value in saved[0].items())


def test_paged_is_refused_without_a_gpu():
    with pytest.raises(UserError, match="Take optimizer=adamw_8bit"):
        refuse_paged(partial(bitsandbytes.optim.PagedAdamW8bit), "cpu")
    refuse_paged(partial(bitsandbytes.optim.PagedAdamW8bit), "cuda")
    refuse_paged(partial(torch.optim.AdamW), "cpu")
