"""A run that goes on sees the images of each epoch in the order in which it would have seen them undisturbed."""

import pytest
import pytorch_lightning as pl
import torch
from commands import DATA, LORA

from rococap.data.datamodule import CaptionData
from rococap.data.phantom.source import Phantom
from rococap.models.lora import add_lora
from rococap.models.tiny import tiny
from rococap.runs.folder import RunFolder
from rococap.training.callbacks import checkpoints
from rococap.training.module import CaptionModule
from rococap.training.optim import constant


class Seen(pl.Callback):
    """The ids of each epoch's batches."""

    def __init__(self):
        self.ids = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.ids.setdefault(trainer.current_epoch, []).append(list(batch.ids))


def seen(path, epochs, workers):
    """Train up to so many epochs, going on where a run was; gives what was seen."""
    captioner, folder, ids = tiny(), RunFolder(path), Seen()
    add_lora(captioner, **LORA)
    source = Phantom(train=12, valid=1, test=1, seed=0)
    data = CaptionData(source, captioner.processor, batch_size=4, **{**DATA, "workers": workers})
    module = CaptionModule(
        captioner,
        lambda groups: torch.optim.SGD(groups, lr=0.1),
        lambda optimizer, steps: constant(optimizer, steps, warmup=0.0),
        None,
        {},
        seed=0,
    )
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings |= {"use_distributed_sampler": False, "num_sanity_val_steps": 0, "limit_val_batches": 0}
    trainer = pl.Trainer(max_epochs=epochs, callbacks=[ids, checkpoints(folder)], **settings)
    trainer.fit(module, datamodule=data, ckpt_path=folder.last_checkpoint())
    return ids.ids


@pytest.mark.parametrize("workers", [0, 2])  # who load batches before the epoch has begun
def test_each_epoch_has_its_own_order_where_a_run_goes_on(workers, tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    whole = seen(tmp_path / "whole", 3, workers)
    assert len({str(order) for order in whole.values()}) == 3
    first, rest = seen(tmp_path / "run", 1, workers), seen(tmp_path / "run", 3, workers)
    assert first.keys() == {0} and rest.keys() == {1, 2}
    assert {**first, **rest} == whole
