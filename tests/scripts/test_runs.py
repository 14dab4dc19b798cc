"""What is said of runs that go on, ended, were killed or were damaged; and what --clean deletes."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from commands import ROOT, command, held, start

from rococap.runs.cleaning import delete, superfluous
from rococap.runs.found import every_run_folder, run_folders
from rococap.runs.locks import hold_sweep
from rococap.runs.overview import of_run, overview, size_on_disk

RUNS = ROOT / "scripts" / "runs.py"
LEFT_OUT = shutil.ignore_patterns("wandb", ".lock")


@pytest.fixture
def runs(tmp_path, finished):
    """A function that makes copies of a finished run, and changes what they say of themselves."""

    def make(name, **facts):
        path = tmp_path / "multirun" / name
        shutil.copytree(finished, path, ignore=LEFT_OUT)
        say(path, **facts)
        return path

    return make


def say(path, **facts):
    """Change what a run says of itself, unsigned."""
    said = json.loads((path / "run.json").read_text())
    said.pop("digest", None)
    (path / "run.json").write_text(json.dumps(said | facts))


def listed(place, *words, columns="80", **options):
    done = command(RUNS, *words, cwd=place, cache=place, kind="light", environment={"COLUMNS": columns}, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_state_is_told(tmp_path, runs):
    runs("a", state="finished")
    runs("b", state="failed", last_error="ValueError: 7 is no\nnumber", epochs_done=1)
    runs("c", state="interrupted", epochs_done=1, seconds={"training": 60.0})
    goes_on = runs("d", state="running", epochs_done=2, seconds={"training": 3600.0})
    runs("e", state="running", epochs_done=3)
    with held(goes_on):
        out = listed(tmp_path)
        assert max(map(len, out.splitlines())) <= 80
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line[:1] in "abcde" and ": " not in line}
    assert [rows[name][:2] for name in "abcde"] == [
        ["finished", "4/4"],
        ["failed", "1/4"],
        ["interrupted", "1/4"],
        ["running", "2/4"],
        ["killed", "3/4"],
    ]
    assert rows["c"][2:4] == ["3", "min"] and rows["d"][2] in {"59", "60", "1"}  # minutes; the copy took a moment
    assert "b: ValueError: 7 is no\n" in out and "d: process " in out
    assert "5 runs: 1 finished, 1 failed, 1 interrupted, 1 running, 1 killed" in out
    assert " killed " in listed(tmp_path).split("\nd ")[1].splitlines()[0]  # its process is gone now


def test_broken_folders_are_named(tmp_path, runs):
    def write(name, text):
        def change(path):
            (path / name).write_text(text)

        return change

    for name, damage in {
        "cut": write("run.json", '{"state": "fin'),
        "list": write("run.json", "[]"),
        "text": write("run.json", '"finished"'),
        "bytes": lambda path: (path / "run.json").write_bytes(b"\xff\xfe\x00"),
        "none": lambda path: (path / "run.json").unlink(),
        "unmade": lambda path: (path / "config.yaml").unlink(),
        "empty": write("config.yaml", ""),
    }.items():
        damage(runs(name))
    runs("huge", epochs_done=10**400)
    runs("odd", epochs_done="x", epochs=[], best_score={}, seconds=3, last_error=["a"], monitor=None, state={"a": 1})
    new = tmp_path / "multirun" / "new"
    new.mkdir()
    (new / "config.yaml").write_text("seed: 0")
    out = listed(tmp_path)
    for name in ("cut", "list", "text", "bytes", "none", "unmade", "empty"):
        assert f"\n{name} " in out and f"\n{name}: " in out, name
    assert "10 runs: " in out and "7 broken" in out and "1 not started" in out
    assert "run.json is missing" in out and "config.yaml is empty" in out and "\ncut: run.json is damaged" in out
    with held(new):
        assert of_run(new).state == "starting"


def test_a_sweeps_jobs_stand_below_it(tmp_path, runs):
    hold_sweep(tmp_path / "multirun" / "ranks")
    for number in (10, 2):
        runs(f"ranks/lora.rank={number}", best_score=number / 100)
    runs("other")
    lines = [line.split() for line in listed(tmp_path).splitlines()]
    first = next(index for index, line in enumerate(lines) if line[:1] == ["ranks"])
    assert lines[first][1:5] == ["running", "2/2", "cider", "0.1"]
    assert [line[0] for line in lines[first + 1 :][:2]] == ["lora.rank=2", "lora.rank=10"]
    assert [group.sweep is None for group in overview(tmp_path / "multirun")] == [True, False]


def test_it_is_quick_and_imports_nothing_heavy(tmp_path):
    code = f"import runpy, sys; sys.argv = ['runs.py']; runpy.run_path({str(RUNS)!r}); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "pytorch_lightning", "wandb", "plotly"} & set(eval(done.stdout))


def test_what_is_not_there_is_said(tmp_path):
    for words, said in ((["nowhere"], "nowhere is no folder"), ([tmp_path], "holds no run")):
        done = command(RUNS, *words, cwd=tmp_path, cache=tmp_path, kind="light")
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_names_and_errors_are_data(tmp_path, runs):
    """No style, no escape sequence, no line of its own, whatever a folder is called and says."""
    runs("[red]a[/]", state="failed", last_error="[/] \x1b[2J\x9b2J \u202egnirts\r[bold]")
    runs("b\nfinished\t", state="\x1b[31m", monitor="[link=x]", last_error="\ud800")
    out = listed(tmp_path, columns="200")
    assert (
        "[red]a[/]: [/] \\x1b[2J\\x9b2J \\u202egnirts" in out
        and "[link=x] 0." in out
        and "b\\nfinished\\t: \\ud800" in out
    )
    assert not any(mark in out for mark in "\x1b\x9b\u202e\r")


def test_a_run_that_was_moved_and_linked_is_found_once_and_no_other_link_is_followed(tmp_path, runs):
    place, away = tmp_path / "multirun", tmp_path / "away"
    hold_sweep(place / "sweep")
    for name in ("here", "sweep/1", "sweep/2"):
        runs(name)
    away.mkdir()
    for name in ("here", "sweep"):
        shutil.move(place / name, away / name)
        (place / f"{name}_link").symlink_to(away / name)
    (away / "sweep" / "back").symlink_to(place)
    (away / "sweep" / "across").symlink_to(away / "here")
    runs("1²2")
    for name, target in {"loop": place, "alias": "1²2", "root": "/", "self": "self", "lost": "nowhere"}.items():
        (place / name).symlink_to(target)
    found = [str(path.relative_to(place)) for path in every_run_folder(place)]
    assert found == ["1²2", "here_link", "sweep_link/1", "sweep_link/2"]
    assert run_folders(place) == every_run_folder(place)


def test_what_cannot_be_looked_into_is_named(tmp_path, runs, monkeypatch):
    """Whoever runs the tests may look into everything."""
    look = os.scandir

    def scandir(place="."):
        if str(place).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return look(place)

    runs("open")
    (tmp_path / "multirun" / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    closed, seen = [group.runs[0] for group in overview(tmp_path / "multirun")]
    assert (closed.state, seen.state) == ("broken", "finished") and "Permission denied" in closed.note


def test_size_is_that_of_the_disk(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"x" * 100_000)
    before = size_on_disk(tmp_path)
    (tmp_path / "b").hardlink_to(tmp_path / "in" / "a")
    (tmp_path / "c").symlink_to("/")
    assert 100_000 <= before <= size_on_disk(tmp_path) < before + 50_000


def names(path):
    return sorted(file.name for file in (path / "checkpoints").iterdir())


def test_clean_shows_asks_and_deletes_what_is_neither_best_nor_last(tmp_path, runs):
    path = runs("a", best_checkpoint="checkpoints/epoch=01.ckpt")
    going_on = runs("b", state="running")
    before = names(path)
    assert before == [*(f"epoch=0{n}.ckpt" for n in range(4)), "last.ckpt"]

    def clean(answer):
        words = [sys.executable, RUNS, "--clean"]
        done = subprocess.run(words, cwd=tmp_path, input=answer, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with held(going_on):
        for answer in ("", "n\n", "\n", "yesterday\n"):
            out = clean(answer)
            assert "Nothing was deleted" in out and names(path) == before
            assert "a, " in out and "epoch=00.ckpt epoch=02.ckpt epoch=03.ckpt" in out and "Delete 3 checkpoints" in out
            assert "b: nothing is deleted, the run is going on" in out
        assert "3 checkpoints were deleted" in clean("y\n")
        assert names(path) == ["epoch=01.ckpt", "last.ckpt"] and names(going_on) == before
    assert "Delete 3 checkpoints of 1 runs" in clean("")  # b, now that its process is gone


def test_clean_keeps_everything_where_the_best_is_not_known(tmp_path, runs):
    for number, best in enumerate((None, "checkpoints/gone.ckpt", "../x.ckpt", 7)):
        path = runs(str(number), best_checkpoint=best)
        found = superfluous(path)
        assert found.files == () and found.kept.startswith("the best checkpoint is not known"), best
    cut = runs("cut")
    (cut / "run.json").write_text("{")
    assert superfluous(cut).files == () and superfluous(cut).kept
    (cut / "checkpoints").rename(tmp_path / "precious")
    (cut / "checkpoints").symlink_to(tmp_path / "precious")
    assert "link out of the folder" in superfluous(cut).kept


def test_what_was_the_best_when_it_was_shown_and_is_not_now_is_looked_at_again(runs):
    path = runs("a", best_checkpoint="checkpoints/epoch=01.ckpt")
    found = superfluous(path)
    say(path, best_checkpoint="checkpoints/epoch=02.ckpt")
    with held(path):
        assert "going on" in delete([found])[0].kept and len(names(path)) == 5
    assert [file.name for file in delete([found])[0].files] == ["epoch=00.ckpt", "epoch=03.ckpt"]


def test_a_real_run_is_told_from_its_start_to_its_end(tmp_path, place, recipe):
    """Asked all the time, it begins, goes on and is found killed."""
    words = [*recipe, "trainer.max_epochs=50", "name=asked", "logger=[csv]"]
    process = start(*words, cwd=tmp_path, cache=place / "cache")
    states, path, ends = [], tmp_path / "multirun" / "asked", time.monotonic() + 120
    while time.monotonic() < ends and process.poll() is None:
        if (path / "config.yaml").exists() and (found := of_run(path)).state not in states[-1:]:
            states.append(found.state)
        if states[-1:] == ["running"] and of_run(path).done:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert states in (["starting", "running"], ["not started", "starting", "running"], ["running"]), states
    assert of_run(path).state == "killed" and of_run(path).left > 0
