"""The run folder: written whole, and read back."""

import pytest
from commands import held

from rococap.runs.folder import RunFolder
from rococap.runs.session import Clock, session
from rococap.types import UserError


def test_rows_that_a_resumed_run_repeats_give_way(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.metrics() == []
    for epoch, loss in ((0, 3.0), (1, 2.0), (2, 1.0), (1, 2.5)):
        folder.add_metrics(epoch, {"val/loss": loss, **({"val/cider": 0.1} if loss == 2.5 else {})})
    rows = folder.metrics()
    assert [(row["epoch"], row["val/loss"], row["val/cider"]) for row in rows] == [
        ("0", "3.0", ""),
        ("1", "2.5", "0.1"),
    ]


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val/loss", [3.0, 1.0, 2.0], (1, 1.0)),
        ("val/cider", [0.1, 0.3, 0.3], (1, 0.3)),
        ("val/cider", [float("nan"), 0.1, 0.0], (1, 0.1)),
        ("val/loss", [None, 2.0, 3.0], (1, 2.0)),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best_value(tmp_path, monitor, values, best):
    folder = RunFolder(tmp_path)
    for epoch, value in enumerate(values):
        folder.add_metrics(epoch, {"lr": 0.1} if value is None else {"lr": 0.1, monitor: value})
    assert folder.best_epoch(monitor) == best


def test_a_monitor_that_no_epoch_has_is_named_with_those_there_are(tmp_path):
    folder = RunFolder(tmp_path)
    folder.add_metrics(0, {"val/loss": 1.0, "lr": 0.1})
    with pytest.raises(UserError, match=r"monitor=val/bleu_4.*val/loss"):
        folder.best_epoch("val/bleu_4")


def test_run_json_is_merged_and_wall_time_goes_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.note(state="running", wall_seconds=100.0)
    folder.note(state="failed", last_error="Störung")
    assert folder.state == {"state": "failed", "wall_seconds": 100.0, "last_error": "Störung"}
    assert Clock(folder).seconds() >= 100.0
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_run_that_is_killed_in_a_part_keeps_its_seconds(tmp_path):
    folder = RunFolder(tmp_path)
    folder.note(seconds={"training": 100.0, "captioning": 7.0})
    clock = Clock(folder)
    with clock.part("training"):
        folder.note(seconds={})
        clock.note()
        noted = folder.state["seconds"]
        assert noted["training"] >= 100.0 and noted["captioning"] == 7.0
    assert noted["training"] <= folder.state["seconds"]["training"] == round(clock.parts["training"], 2)
    before = folder.state["seconds"]
    clock.note()  # between parts
    assert folder.state["seconds"] == before


def test_the_greater_peak_memory_of_all_sessions_is_kept(tmp_path):
    folder = RunFolder(tmp_path)
    for memory in ({"rss_mib": 10.0, "gpu_mib": 3.0}, {"rss_mib": 9.0}, {"rss_mib": 8.0, "gpu_mib": 4.0}):
        folder.note_peak(memory)
    assert folder.state["peak_memory"] == {"rss_mib": 10.0, "gpu_mib": 4.0}


def test_a_run_that_says_it_runs_while_nobody_runs_was_killed(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert folder.status == "not started"
    with held(folder.path):
        folder.note(state="running")
        assert folder.status == "running"
    assert folder.status == "killed"
    folder.note(state="failed")
    assert folder.status == "failed"


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="is no run's folder"):
        _ = RunFolder(tmp_path).config
    with pytest.raises(UserError, match="has no checkpoint yet"):
        RunFolder(tmp_path).best_checkpoint()


@pytest.mark.parametrize(
    ("error", "state"), [(None, "finished"), (KeyboardInterrupt(), "interrupted"), (ValueError("no"), "failed")]
)
def test_how_a_session_ended_is_kept(tmp_path, error, state):
    folder = RunFolder(tmp_path)

    def work():
        with session(folder):
            assert folder.state["state"] == "running" and not folder.done
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    assert folder.state["state"] == state and folder.done == (error is None)
    assert folder.state["last_error"] == (None if error is None else f"{type(error).__name__}: {error}")
