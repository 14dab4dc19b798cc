"""How a run says that it ended, and that the same command then goes on to the end of the undisturbed one."""

import errno
import json

import pytest
import torch
from commands import ROOT, SMALL, command

from rococap.recipe.memory import out_of_memory_named
from rococap.recipe.recipe import Recipe
from rococap.runs.folder import RunFolder
from rococap.runs.mishaps import mishaps_named
from rococap.types import UserError

PLAIN = ["metrics=[]", "logger=[csv]", "baselines=false"]
LITTLE = [*SMALL, *PLAIN, "data.source.train=32", "data.batch_size=8", "decoding.max_new_tokens=4"]


@pytest.fixture
def trained(place, run):
    """Runs a command of little data; gives how it ended, and its folder."""

    def trained(name, *words):
        return run(ROOT / "train.py", *LITTLE, f"name={name}", *words), RunFolder(place / "multirun" / name)

    return trained


def test_an_end_by_time_is_told_and_the_same_command_goes_on_to_the_undisturbed_end(place, run, recipe, finished):
    folder, limit = RunFolder(place / "multirun" / "timed"), "+trainer.max_time=0.01s"
    done = run(*recipe, "name=timed", limit)
    assert done.returncode == 0 and "stopped by trainer.max_time after 0 of 4 epochs" in done.stdout, done.stderr
    assert "no epoch was validated" in done.stdout and folder.state["step"] == 1
    assert (folder.status, folder.stopped, folder.done) == ("stopped", "trainer.max_time", False)
    done = run(*recipe, "name=timed")
    assert done.returncode == 0 and folder.status == "finished" and folder.stopped is None, done.stderr
    for file in ("predictions/test.jsonl", "evaluation_results.csv"):
        assert (folder.path / file).read_bytes() == (finished / file).read_bytes()


def test_early_stopping_is_no_finish_and_goes_on_with_more_patience(trained):
    hopeless = ["callbacks=[early_stopping]", "trainer.max_epochs=3", "optimizer.lr=1e-12", "monitor=val/loss"]
    done, folder = trained("patience", *hopeless, "callbacks.early_stopping.patience=1")
    assert done.returncode == 0 and "stopped by early stopping after 2 of 3 epochs\n" in done.stdout, done.stderr
    assert (folder.status, folder.done, folder.scored) == ("stopped", True, True)
    assert "stopped by early stopping after 2 of 3 epochs" in (folder.path / "report.html").read_text()
    before = folder.state
    trained("patience", *hopeless, "callbacks.early_stopping.patience=1")
    assert folder.state == before
    done, _ = trained("patience", *hopeless, "callbacks.early_stopping.patience=2")
    assert done.returncode == 0 and folder.status == "finished" and len(folder.metrics()) == 3, done.stderr


def test_a_finished_run_may_get_more_epochs_where_the_rate_does_not_follow_its_length(trained):
    level = ["scheduler=constant", "scheduler.warmup=0"]
    done, longer = trained("longer", *level, "trainer.max_epochs=1")
    done, _ = trained("longer", *level, "trainer.max_epochs=2")
    assert done.returncode == 0 and longer.status == "finished", done.stderr
    done, whole = trained("whole", *level, "trainer.max_epochs=2")
    weights = [torch.load(folder.checkpoint(1), weights_only=True)["state_dict"] for folder in (longer, whole)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    refused, _ = trained("whole", "trainer.max_epochs=3", "scheduler=linear")
    assert refused.returncode == 2 and "the learning rate follows the whole length" in refused.stderr


def test_a_loss_that_is_no_number_ends_the_run_with_what_to_look_at(trained):
    done, folder = trained("nan", "optimizer.lr=1e30", "scheduler=constant", "scheduler.warmup=0")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "error: The loss is " in done.stderr and "at learning rate 1e+30, of phantom_train_" in done.stderr
    assert "optimizer.lr" in done.stderr and folder.status == "failed"
    assert folder.state["last_error"].startswith("UserError: The loss is ")


def test_settings_of_the_trainer_do_what_they_say(trained):
    words = ["+trainer.overfit_batches=1", "+trainer.enable_progress_bar=false", "+trainer.deterministic=true"]
    words += ["+trainer.benchmark=false", "+trainer.detect_anomaly=true", "+trainer.profiler=simple"]
    words += ["+trainer.gradient_clip_algorithm=value", "+trainer.min_epochs=1", "+trainer.inference_mode=false"]
    words += ["trainer.max_epochs=4", "optimizer.lr=5e-3", "lora.dropout=0", "checkpoint.keep=best+last"]
    words += ["trainer.log_every_n_steps=1", "+trainer.strategy=ddp_find_unused_parameters_false"]
    done, folder = trained("settings", *words)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    rows = folder.metrics()
    assert [row["step"] for row in rows] == ["1.0", "2.0", "3.0", "4.0"]  # a step an epoch: one batch
    assert float(rows[-1]["val/loss"]) < float(rows[0]["val/loss"])  # of the images that it trains on
    best, _ = folder.best_epoch("val/loss")
    assert [*folder.epochs_kept()] == [best] and folder.last.is_file()


def test_validation_of_a_part_is_possible(trained):
    done, folder = trained("part", "trainer.max_epochs=1", "+trainer.limit_val_batches=1", "data.source.valid=20")
    assert done.returncode == 0 and folder.metrics()[0]["val/loss"], done.stderr


def test_too_little_memory_names_the_settings_that_cure_it(finished):
    recipe = Recipe.of_run(RunFolder(finished))
    with pytest.raises(UserError) as error, out_of_memory_named(recipe, training=True):
        torch.empty(1 << 60)
    assert str(error.value).startswith("This machine has too little memory (")
    assert "data.batch_size=8 trainer.accumulate_grad_batches=2" in str(error.value)
    assert "under another name" in str(error.value)  # since it is another recipe
    with (
        pytest.raises(UserError, match=r"The GPU.*\n.*decoding\.batch_size=16"),
        out_of_memory_named(recipe, training=False),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    with pytest.raises(RuntimeError, match="shape"), out_of_memory_named(recipe, training=True):
        raise RuntimeError("shape mismatch")


FULL = """
import resource, signal, sys, runpy
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_checkpoint_that_the_disk_has_no_room_for_ends_the_run_whole(trained, place, tmp_path):
    """A limit of a file's size stands for a disk that is full: the same call of the system fails."""
    (tmp_path / "limited.py").write_text(FULL)
    words = [tmp_path / "limited.py", ROOT / "train.py", *LITTLE, "trainer.max_epochs=1", "name=disk"]
    done = command(*words, cwd=place, cache=place / "cache")
    folder = RunFolder(place / "multirun" / "disk")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "epoch=00.ckpt cannot be written" in done.stderr and "checkpoint.keep=best+last" in done.stderr
    assert folder.state["state"] == "failed" and [*folder.checkpoints.iterdir()] == []
    done, _ = trained("disk", "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "", "samples.png"), "samples.png cannot be written (No space left on device)"),
        (OSError(errno.EMFILE, "", "a.png"), "a.png cannot be opened (Too many open files)"),
        (PermissionError(errno.EACCES, "", "multirun/a"), "multirun/a cannot be opened (Permission denied)"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "loads batches has ended"),
    ],
)
def test_what_befalls_a_run_is_said_in_two_lines(error, said):
    with pytest.raises(UserError) as found, mishaps_named():
        raise error
    assert said in str(found.value) and len(str(found.value).splitlines()) == 2
    with pytest.raises(ConnectionError), mishaps_named():
        raise ConnectionError("of the hub")


def test_run_json_of_a_finished_run_says_what_it_is(finished):
    assert {"digests", "digest", "stopped_by"} <= json.loads((finished / "run.json").read_text()).keys()
