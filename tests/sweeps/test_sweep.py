"""Sweeps as processes: named folders, only what is missing is run, and what ended how is told at the end."""

import re
import shutil
import signal

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from sweeping import begin, checkout, row, snapshot, sweep, worked_on

from rococap.runs.folder import RunFolder
from rococap.sweeps.jobs import folder_name


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def mended(place):
    """Lets jobs work that did not."""
    (place / "mended").touch()
    yield
    (place / "mended").unlink()


def name(*words, swept=()):
    return folder_name(OverridesParser.create().parse_overrides(list(words)), swept)


def test_a_jobs_folder_is_named_by_what_is_swept():
    words = ["name=x", "seed=1", "data.root=/a/b", "+trainer.limit_val_batches=2"]
    assert name(*words, swept={"seed", "+trainer.limit_val_batches"}) == "seed=1,trainer.limit_val_batches=2"
    assert name(*reversed(words), swept={"seed"}) == "seed=1"
    assert name("name=x", "on_change=keep", "seed=1", "lora.rank=4") == "lora.rank=4,seed=1"
    assert name("name=x") == "job"


def test_names_that_no_folder_can_have_are_made_safe_and_stay_apart():
    values = ["a/b", "a_b", "'a b'", "[a,b]", "'ä'", "..", "x" * 300, "x" * 301, "${seed}"]
    names = [name(f"data.root={value}", swept={"data.root"}) for value in values]
    assert len(set(names)) == len(values) and names[1] == "data.root=a_b"
    assert all(len(each.encode()) <= 120 and not set(each) & set("/\\ ~$'[]{}") for each in names)


def test_the_same_command_again_runs_what_is_missing(place):
    axes = ["-m", "name=grid", "lora.rank=8,4", "+trainer.limit_val_batches=1,2"]
    jobs = [f"lora.rank={rank},trainer.limit_val_batches={n}" for rank in (8, 4) for n in (1, 2)]
    done = sweep(place, *axes)
    assert done.returncode == 0 and worked_on(done) == jobs, done.stderr
    grid = place / "multirun" / "grid"
    assert {folder.name for folder in grid.iterdir() if folder.is_dir()} == set(jobs)
    before = snapshot(grid)

    again = sweep(place, *axes)
    assert again.returncode == 0 and worked_on(again) == [] and "heavy: []" in again.stdout
    assert row(again, jobs[0]) == ["finished", "0.0108", "0", "min", "0", "s"]
    assert snapshot(grid) == before

    larger = sweep(place, "-m", "name=grid", "lora.rank=4,8,16", "+trainer.limit_val_batches=2", "seed=0,1")
    assert larger.returncode == 0
    assert worked_on(larger) == [f"lora.rank={job}" for job in ("4,seed=1", "8,seed=1", "16,seed=0", "16,seed=1")]
    assert before.items() <= snapshot(grid).items()

    other = sweep(place, "-m", "name=grid", "lora.rank=2,4,8", "seed=0,1", "optimizer.lr=1e-5")
    assert other.returncode == 2 and worked_on(other) == []
    assert "lora.rank=4,seed=1 (and 1 more) holds a run of another recipe: optimizer.lr was" in other.stderr
    run = sweep(place, "name=grid")
    assert run.returncode == 2 and "holds a sweep, not a run" in run.stderr


def test_a_job_that_never_ran_is_not_finished_by_one_of_the_same_weights(place):
    """Neither workers nor baselines change weights; but who sweeps over them wants each job."""
    first = sweep(place, "-m", "name=free", "data.workers=0", "baselines=true,false")
    assert first.returncode == 0 and worked_on(first) == ["baselines=True", "baselines=False"], first.stderr
    larger = sweep(place, "-m", "name=free", "data.workers=0,2", "baselines=true,false")
    assert larger.returncode == 0, larger.stderr
    assert worked_on(larger) == ["baselines=True,data.workers=2", "baselines=False,data.workers=2"]
    assert row(larger, "baselines=False")[0] == "finished"


def test_jobs_that_fail_do_not_end_a_sweep(place):
    seeds = "seed=101,1,102,2"
    done = sweep(place, "-m", "name=some", seeds)
    assert done.returncode == 1 and worked_on(done) == ["seed=101", "seed=1", "seed=102", "seed=2"]
    assert [row(done, f"seed={n}")[0] for n in (101, 1, 102, 2)] == ["failed", "finished", "failed", "finished"]
    assert "seed=101: RuntimeError: a bug\n" in done.stdout and "seed=102: UserError: the disk is full\n" in done.stdout
    assert done.stderr.endswith("2 of 4 jobs did not finish\n")
    state = RunFolder(place / "multirun" / "some" / "seed=102").state
    assert (state["state"], state["last_error"]) == ("failed", "UserError: the disk is full")


def test_jobs_that_failed_are_tried_again(place, mended):
    again = sweep(place, "-m", "name=some", "seed=101,1,102,2")
    assert again.returncode == 0 and worked_on(again) == ["seed=101", "seed=102"]


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_that_is_stopped_goes_on(place, how, code):
    line = ["-m", "seed=1,103,2", f"name=long_{how.name}"]
    process = begin(place, *line)
    assert any(said == "works on seed=103\n" for said in process.stdout), process.stderr.read()
    if how == signal.SIGKILL:
        refused = sweep(place, *line)
        assert refused.returncode == 2 and "a sweep is going on there" in refused.stderr
    process.send_signal(how)
    out, errors = process.communicate(timeout=60)
    state = RunFolder(place / "multirun" / f"long_{how.name}" / "seed=103").state
    assert (process.returncode, state["state"]) == (code, "running" if how == signal.SIGKILL else "interrupted")
    if how != signal.SIGKILL:
        assert f"interrupted by {how.name}; to go on: python program.py" in errors and f"name=long_{how.name}" in errors
        assert "not started" in out and "Traceback" not in errors


def test_the_same_command_goes_on_where_a_sweep_was_killed(place, mended):
    again = sweep(place, "-m", "seed=1,103,2", "name=long_SIGKILL")
    assert again.returncode == 0 and worked_on(again) == ["seed=103", "seed=2"]


def test_sweeps_without_a_name_do_not_meet(place):
    started = [begin(place, "-m", "seed=1,105") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [130, 130], said
    names = [re.search(r" name=(\S+)", errors)[1] for _, errors in said]
    assert len(set(names)) == 2
    folders = [RunFolder(place / "multirun" / name / "seed=105") for name in names]
    assert [folder.state["state"] for folder in folders] == ["interrupted", "interrupted"]


@pytest.mark.slow
def test_a_job_that_was_killed_in_its_process_is_told_of_by_its_folder(place):
    sweep(place, "-m", "name=killed", "seed=104,2")
    again = sweep(place, "-m", "name=killed", "seed=105,104")
    assert again.returncode == 130
    assert [row(again, f"seed={n}")[0] for n in (105, 104)] == ["interrupted", "killed"]


def test_what_changed_between_stops_a_sweep(tmp_path):
    place = checkout(tmp_path)
    line = ["-m", "name=grid", "seed=1,2"]
    assert sweep(place, *line).returncode == sweep(place, "name=one").returncode == 0
    grid = place / "multirun" / "grid"
    before = snapshot(grid)
    shutil.copy(place / "conf" / "lora" / "attention.yaml", place / "conf" / "lora" / "mine.yaml")
    with (place / "rococap" / "optim.py").open("a") as code:
        code.write("# better\n")

    stopped = sweep(place, *line)
    assert stopped.returncode == 2 and worked_on(stopped) == []
    assert "multirun/grid/seed=1 (and 1 more) was made with what has changed since: code, conf/." in stopped.stderr
    kept = sweep(place, *line, "on_change=keep")
    assert kept.returncode == 0 and worked_on(kept) == [] and row(kept, "seed=2")[0] == "finished"
    assert snapshot(grid) == before
    anew = sweep(place, *line, "on_change=rerun")
    assert anew.returncode == 0 and worked_on(anew) == ["seed=1", "seed=2"]
    aside = {file.replace("seed=1/", "seed=1~1/").replace("seed=2/", "seed=2~1/"): at for file, at in before.items()}
    assert aside.items() <= snapshot(grid).items()

    run = sweep(place, "name=one")
    assert run.returncode == 2 and "multirun/one was made with what has changed since: code, conf/." in run.stderr
    run = sweep(place, "name=one", "on_change=rerun")
    assert run.returncode == 0 and worked_on(run) == ["one"] and (grid.parent / "one~1" / "run.json").is_file()


def test_a_sweep_file_needs_no_flag_and_gives_way_to_the_command_line(place):
    words = ["['a/b']", f"[{','.join(f'layer_{n}' for n in range(60))}]"]
    done = sweep(place, "sweep=lora_rank", "lora.rank=2,3", f"lora.target_modules={','.join(words)}", "name=ranks")
    names = worked_on(done)
    assert done.returncode == 0 and len(set(names)) == 4, done.stderr
    recipes = [RunFolder(place / "multirun" / "ranks" / name).config.lora for name in names]
    assert [(r.rank, len(r.target_modules)) for r in recipes] == [(2, 1), (2, 60), (3, 1), (3, 60)]
