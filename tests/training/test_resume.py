"""A run that was stopped anywhere goes on as if it had not been: the same images, the same weights, bit for bit."""

import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from commands import DATA, LORA
from shard_server import served

from rococap.cli import Interrupted
from rococap.data.datamodule import CaptionData
from rococap.data.dataset import NoBatch
from rococap.data.phantom.source import Phantom
from rococap.data.shards import fetched
from rococap.data.shards.writing import write_shards
from rococap.data.webdataset import WebDataset
from rococap.models.lora import add_lora
from rococap.models.tiny import tiny
from rococap.processes.identity import Process
from rococap.runs import interruption
from rococap.runs.checkpoints import load
from rococap.runs.folder import RunFolder
from rococap.runs.session import Clock
from rococap.training.callbacks import Records
from rococap.training.checkpoints import Checkpoints, TimeOver, WholeCheckpoints
from rococap.training.keep import Keep
from rococap.training.module import CaptionModule
from rococap.training.optim import linear
from rococap.training.started import Started
from rococap.types import SPLITS

IMAGES, BATCH, EPOCHS = 22, 4, 2  # 6 batches an epoch, the last one smaller
DRAWN = Phantom(train=IMAGES, valid=2, test=1, seed=0)


class Seen(pl.Callback):
    """The ids of each epoch's batches; and a signal to this process, or the end of its time, after some of them."""

    def __init__(self, stop=None, how=None):
        self.ids, self.stop, self.how, self.count = {}, stop, how, 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.ids.setdefault(trainer.current_epoch, []).append(list(batch.ids))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.count += 1
        if self.count == self.stop:
            self._now(trainer)

    def on_validation_start(self, trainer, pl_module):
        if self.stop == "validation":
            self._now(trainer)

    def _now(self, trainer):
        if self.how == "time":
            next(each for each in trainer.callbacks if isinstance(each, Checkpoints)).limit = 0.0
        else:
            os.kill(os.getpid(), self.how)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    before = {number: signal.getsignal(number) for number in interruption._SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    interruption._mine.clear()


def session(
    path, stop=None, how=None, *, accumulate=1, workers=0, optimizer=None, every=None, keep=None, source=None, **data
):
    """One time at which a run is worked on, up to its end or a stop; gives what it saw of the images."""
    interruption._here.__init__()
    interruption.listen()
    torch.manual_seed(0)  # of new weights
    captioner, folder = tiny(), RunFolder(path)
    add_lora(captioner, **{**LORA, "dropout": 0.3})
    path.mkdir(exist_ok=True)
    data = CaptionData(
        source or DRAWN,
        captioner.processor,
        batch_size=BATCH,
        **{**DATA, "workers": workers, **data},
    )
    module = CaptionModule(
        captioner,
        optimizer or (lambda groups: torch.optim.AdamW(groups, lr=1e-2)),
        lambda optimizer, steps: linear(optimizer, steps, warmup=0.2),
        None,
        {},
        seed=0,
    )
    seen = Seen(stop, how)
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings |= {"use_distributed_sampler": False, "num_sanity_val_steps": 0, "gradient_clip_val": 1.0}
    kept = Checkpoints(folder, every, None, keep or Keep(None, "val/loss"))
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accumulate_grad_batches=accumulate,
        callbacks=[seen, Records(folder, "val/loss", Clock(folder)), kept],
        plugins=[Started(Process()), WholeCheckpoints()],
        **settings,
    )
    captioner.train()
    try:
        trainer.fit(module, datamodule=data, ckpt_path=folder.last_checkpoint())
    except (Interrupted, TimeOver):
        pass
    else:
        assert stop is None, "it was not stopped"
    finally:
        interruption._here.__init__()
    return seen.ids


def assert_same(one, other):
    """The states that training leaves behind are equal, those of weights, optimizer, schedule and progress."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, dict):
            assert_same(value, other[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, other[key]), key
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for mine, its in zip(value, other[key], strict=True):
                assert_same(mine, its)
        else:
            assert value == other[key], key


def measured(path):
    return [{k: v for k, v in row.items() if k != "wall_seconds"} for row in RunFolder(path).metrics()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Runs that nothing stopped, by their settings."""
    made = {}

    def run(**settings):
        key = str(sorted(settings.items()))
        if key not in made:
            path = tmp_path_factory.mktemp("undisturbed") / "run"
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ROCOCAP_CACHE", str(path.parent / "cache"))
                made[key] = path, session(path, **settings)
        return made[key]

    return run


@pytest.mark.parametrize(
    ("stop", "accumulate"),
    [(1, 1), (5, 1), (6, 1), (8, 1), ("validation", 1), (1, 4), (5, 4), (8, 4)],  # an epoch has 6 batches
)
def test_weights_and_metrics_are_those_of_the_undisturbed_run(stop, accumulate, tmp_path, undisturbed):
    whole, order = undisturbed(accumulate=accumulate)
    settings = {"accumulate": accumulate}
    path = tmp_path / "run"
    first, rest = session(path, stop, signal.SIGTERM, **settings), session(path, **settings)
    assert measured(path) == measured(whole)
    for name in ("epoch=00.ckpt", "epoch=01.ckpt", "last.ckpt"):
        assert_same(load(path / "checkpoints" / name), load(whole / "checkpoints" / name))
    for epoch, batches in order.items():  # what was trained again is what had been trained
        assert first.get(epoch, []) == batches[: len(first.get(epoch, []))]
        again = rest.get(epoch, [])
        assert again == batches[len(batches) - len(again) :]


def test_with_workers_and_after_stops_of_every_kind(tmp_path, undisturbed):
    whole, _ = undisturbed()
    path = tmp_path / "run"
    for stop, how in ((2, "time"), (2, signal.SIGUSR1), (3, signal.SIGINT), (1, signal.SIGHUP)):
        session(path, stop, how, workers=2)
    session(path, workers=2)
    assert measured(path) == measured(whole)
    assert_same(load(path / "checkpoints" / "last.ckpt"), load(whole / "checkpoints" / "last.ckpt"))


@pytest.mark.parametrize("workers", [0, 2])
def test_images_that_are_streamed_from_a_url(workers, tmp_path):
    pytest.importorskip("webdataset")
    write_shards({split: DRAWN.examples(split) for split in SPLITS}, tmp_path / "shards", 100_000)
    with served(tmp_path) as server:
        settings = {"stream": True, "window": 2, "workers": workers}

        def go(path, *stop):
            source = WebDataset(f"{server.url}/shards", None, 0.1, 0.1, 0)
            return session(tmp_path / path, *stop, source=source, **settings)

        order = go("whole")
        first = go("run", 8, signal.SIGTERM)
        assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["CaptionData"] == {"machines": 1}
        rest = go("run")
        assert first[0] == order[0] and first[1] == order[1][:2] and rest == {1: order[1][2:]}
        assert sorted(name for batch in order[1] for name in batch) == [e.id for e in DRAWN.examples("train")]
        assert measured(tmp_path / "run") == measured(tmp_path / "whole")
        for name in ("epoch=00.ckpt", "epoch=01.ckpt", "last.ckpt"):
            mine, its = (load(tmp_path / run / "checkpoints" / name) for run in ("run", "whole"))
            assert_same(mine, its)


def test_it_goes_on_from_the_batch_before_a_shard_that_was_not_to_be_had(tmp_path, monkeypatch):
    pytest.importorskip("webdataset")
    monkeypatch.setattr(fetched, "PAUSES", ())
    write_shards({split: DRAWN.examples(split) for split in SPLITS}, tmp_path / "shards", 100_000)
    with served(tmp_path) as server:

        def go(path):
            source = WebDataset(f"{server.url}/shards", None, 0.1, 0.1, 0)
            return session(tmp_path / path, source=source, stream=True, window=1)

        order = go("whole")
        for file in tmp_path.glob("cache/shards/fetched/all/*.tar"):
            file.unlink()
        last = next(name for name in reversed(server.asked) if name.startswith("train"))
        server.gone.add(last)
        with pytest.raises(NoBatch, match=last):
            go("run")
        kept = load(tmp_path / "run" / "checkpoints" / "last.ckpt")
        assert kept["epoch"] == 0 and 0 < kept["batches"] < 6
        server.gone.clear()
        rest = go("run")
        assert rest == {0: order[0][kept["batches"] :], 1: order[1]}
        for name in ("epoch=00.ckpt", "epoch=01.ckpt", "last.ckpt"):
            mine, its = (load(tmp_path / run / "checkpoints" / name) for run in ("run", "whole"))
            assert_same(mine, its)


def test_a_schedule_free_optimizer_goes_on_within_an_epoch(tmp_path, undisturbed):
    free = pytest.importorskip("schedulefree")
    settings = {"optimizer": _free(free)}
    whole, _ = undisturbed(**settings)
    path = tmp_path / "run"
    session(path, 3, signal.SIGTERM, **settings)
    session(path, **settings)
    assert_same(load(path / "checkpoints" / "last.ckpt"), load(whole / "checkpoints" / "last.ckpt"))


def _free(package):
    return lambda groups: package.AdamWScheduleFree(groups, lr=1e-2)


def test_within_an_epoch_it_is_kept_each_so_often(tmp_path):
    path = tmp_path / "run"
    session(path, 4, signal.SIGTERM, every=0.0)
    last = load(path / "checkpoints" / "last.ckpt")
    assert (last["epoch"], last["batches"], last["global_step"]) == (0, 4, 4)


@pytest.mark.parametrize("damage", ["cut", "bit", "text", "empty"])
def test_it_goes_on_from_the_newest_whole_checkpoint(damage, tmp_path, undisturbed, caplog):
    whole, _ = undisturbed()
    path = tmp_path / "run"
    session(path, 8, signal.SIGTERM)
    file = path / "checkpoints" / "last.ckpt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"cut": content[: len(content) // 3], "bit": content, "text": b"no checkpoint", "empty": b""}[damage]
    file.write_bytes(bytes(damaged))
    assert RunFolder(path).last_checkpoint(loudly=True).name == "epoch=00.ckpt"
    assert "last.ckpt cannot be gone on from" in caplog.text
    session(path)
    assert_same(load(file), load(whole / "checkpoints" / "last.ckpt"))


@pytest.mark.parametrize(("keep", "files"), [("all", [0, 1]), ("best+last", [1]), (1, [1])])
def test_which_epochs_stay(keep, files, tmp_path):
    path = tmp_path / "run"
    session(path, keep=Keep.of(keep, "val/loss", 0, EPOCHS))
    best, _ = RunFolder(path).best_epoch("val/loss")
    assert sorted({*files, best}) == sorted(RunFolder(path).epochs_kept())
    assert RunFolder(path).best_checkpoint().is_file() and RunFolder(path).last.is_file()


def test_so_many_of_the_newest_stay_beside_the_best(tmp_path):
    folder, there = RunFolder(tmp_path), []
    folder.checkpoints.mkdir()
    for epoch, loss in enumerate([3.0, 1.0, 2.0, 4.0, 5.0]):
        folder.add_metrics(epoch, {"val/loss": loss})
        folder.checkpoint(epoch).touch()
        Keep(3, "val/loss").tidy(folder)
        there.append([*folder.epochs_kept()])
    assert there == [[0], [0, 1], [0, 1, 2], [1, 2, 3], [1, 2, 3, 4]]


def test_auto_keeps_all_that_is_small():
    assert Keep.of("auto", "val/loss", 1 << 20, 10).newest is None
    assert Keep.of("auto", "val/loss", 1 << 29, 10).newest == 0
