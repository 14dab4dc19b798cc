"""What a run is ended by, and what its folder is told."""

from types import SimpleNamespace

import pytest

from rococap.runs.folder import RunFolder
from rococap.runs.session import Clock
from rococap.training.callbacks import Records, early_stopping


@pytest.mark.parametrize(
    ("monitor", "metrics", "watched", "mode"),
    [
        ("auto", ["bleu", "cider"], "val/cider", "max"),
        ("auto", ["bleu"], "val/loss", "min"),
        ("val/facts", ["facts"], "val/facts", "max"),
    ],
)
def test_early_stopping_watches_what_the_best_checkpoint_is_chosen_by(monitor, metrics, watched, mode):
    stopping = early_stopping(monitor, metrics, patience=2, min_delta=0.0)
    assert (stopping.monitor, stopping.mode, stopping.patience) == (watched, mode, 2)


@pytest.mark.parametrize(
    ("monitor", "patience", "done", "stops"),
    [
        ("val/loss", 2, 4, True),  # it was best in epoch 1, and was not in 2 and 3
        ("val/loss", 3, 4, False),
        ("val/loss", 2, 3, False),  # the row of an epoch that is repeated does not count
        ("val/cider", 2, 4, False),  # measured since epoch 2 only
    ],
)
def test_early_stopping_goes_by_the_rows_of_all_epochs_where_a_run_goes_on(tmp_path, monitor, patience, done, stops):
    folder = RunFolder(tmp_path)
    for epoch, (loss, cider) in enumerate([(2.0, None), (1.0, None), (1.5, 0.1), (1.2, 0.2)]):
        folder.add_metrics(epoch, {"val/loss": loss, **({} if cider is None else {"val/cider": cider})})
    stopping = early_stopping(monitor, ["cider"], patience=patience, min_delta=0.0)
    records = Records(folder, monitor, Clock(folder))
    trainer = SimpleNamespace(callbacks=[records], current_epoch=done, should_stop=False)
    stopping.on_train_start(trainer, None)
    assert trainer.should_stop == stops


def test_a_run_that_goes_on_with_other_metrics_still_has_a_best_epoch(tmp_path):
    folder = RunFolder(tmp_path)
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        folder.add_metrics(epoch, {"val/loss": loss})
    assert folder.best_epoch(folder.measured("val/cider")) == (1, 1.0)
    folder.add_metrics(3, {"val/loss": 4.0, "val/cider": 0.1})
    assert folder.best_epoch(folder.measured("val/cider")) == (3, 0.1)
    folder.checkpoints.mkdir()
    for epoch in (0, 2):  # the others were deleted
        folder.checkpoint(epoch).touch()
    assert folder.best_epoch("val/loss") == (2, 2.0)
