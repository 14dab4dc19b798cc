"""What a run is ended by."""

import pytest

from rococap.training.callbacks import early_stopping


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
