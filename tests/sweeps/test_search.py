"""A search goes on where it stopped, lives with trials that fail, and leaves its best as an experiment."""

import importlib.util
import shlex
import signal

import pytest
import yaml
from commands import BLOCK, command
from hydra.core.override_parser.overrides_parser import OverridesParser
from sweeping import PHANTOM, begin, checkout, row, snapshot, sweep, worked_on

from rococap.runs.folder import RunFolder
from rococap.sweeps.search import open_study
from rococap.sweeps.space import distribution

pytestmark = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="optuna is not installed")

SPACE = ["lora.rank=choice(2,4)", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "trainer.max_epochs=range(1,6,2)"]
SEARCH = ["-m", "hydra/sweeper=optuna", *SPACE]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("checkout"))


@pytest.mark.parametrize(
    ("swept", "said"),
    [
        ("int(interval(1,8))", {"low": 1, "high": 8, "log": False, "step": 1}),
        ("interval(1,8)", {"low": 1.0, "high": 8.0, "log": False, "step": None}),
        ("tag(log,interval(1e-4,1e-2))", {"low": 1e-4, "high": 1e-2, "log": True, "step": None}),
        ("tag(log,int(interval(1,64)))", {"low": 1, "high": 64, "log": True, "step": 1}),
        ("range(1,8,3)", {"low": 1, "high": 7, "log": False, "step": 3}),
        ("range(32,4,-4)", {"low": 8, "high": 32, "log": False, "step": 4}),
        ("range(0.0,0.35,0.1)", {"low": 0.0, "high": 0.3, "log": False, "step": 0.1}),
        ("choice(4,8,16)", {"choices": ("4", "8", "16")}),
        ("[c_attn],[c_proj,c_attn]", {"choices": ("[c_attn]", "[c_proj,c_attn]")}),
    ],
)
def test_a_space_is_typed(swept, said):
    found = distribution(OverridesParser.create().parse_overrides([f"a={swept}"])[0])
    assert {key: getattr(found, key) for key in said} == said
    assert type(found).__name__.startswith({int: "Int", float: "Float"}.get(type(said.get("low")), "Categorical"))


def test_a_search_goes_on_and_its_best_trial_is_an_experiment(place):
    words = [*SEARCH, "~optimizer.betas", "name=search", "hydra.sweeper.max_failure_rate=1.0"]
    done = sweep(place, *words, "hydra.sweeper.n_trials=3")
    names = worked_on(done)
    assert done.returncode == 0 and len(names) == 3, done.stderr
    assert "heavy: []" in done.stdout
    folder = place / "multirun" / "search"
    before = snapshot(folder)
    assert worked_on(sweep(place, *words, "hydra.sweeper.n_trials=3")) == []
    changed = {file for file, when in snapshot(folder).items() if before.get(file) != when}
    assert changed <= {str(folder / "search.log")}

    more = sweep(place, *words, "hydra.sweeper.n_trials=5")
    added = worked_on(more)
    assert more.returncode == 0 and len(added) == 2 and not set(added) & set(names)
    assert all(row(more, name)[0] == "finished" for name in names + added)

    scores = {name: RunFolder(folder / name).best_score for name in names + added}
    best = min(scores, key=scores.__getitem__)
    recipe = RunFolder(folder / best).config
    file = (folder / "experiment" / "best.yaml").read_text()
    assert f"The best of 5 trials, val/loss {scores[best]:.4f} in {best}" in file
    line = next(line for line in file.splitlines() if "python train.py " in line).partition("train.py ")[2]
    assert line == "--config-dir multirun/search experiment=best '~optimizer.betas'"
    run = command("program.py", *shlex.split(line), "name=again", cwd=place, cache=place / "cache")
    assert run.returncode == 0, run.stderr
    again = RunFolder(place / "multirun" / "again").config
    assert {**again, "name": ""} == {**recipe, "name": ""} and again.model == recipe.model
    assert set(yaml.safe_load(file)) == {"defaults", "lora", "optimizer", "trainer"}


def test_another_space_under_the_same_name_is_refused(place):
    other = sweep(place, "-m", "hydra/sweeper=optuna", "lora.rank=choice(2,8)", "name=search")
    assert other.returncode == 2 and "a search of another space or monitor" in other.stderr
    none = sweep(place, "-m", "hydra/sweeper=optuna", "lora.rank=4", "name=none")
    assert none.returncode == 2 and "nothing to search" in none.stderr


@pytest.mark.slow
def test_trials_that_fail_do_not_end_a_search_until_they_are_too_many(place):
    words = ["-m", "hydra/sweeper=optuna", "seed=choice(101,1)", "name=failing", "hydra.sweeper.n_trials=6"]
    done = sweep(place, *words, "hydra.sweeper.max_failure_rate=1.0")
    assert done.returncode == 1 and {row(done, f"seed={n}")[0] for n in (101, 1)} == {"failed", "finished"}
    assert sorted(worked_on(done)) == ["seed=1", "seed=101"]  # a suggestion that comes again costs nothing
    stopped = sweep(place, *words, "hydra.sweeper.max_failure_rate=0.0")
    assert stopped.returncode == 2 and worked_on(stopped) == ["seed=101"]
    assert "1 of " in stopped.stderr and "max_failure_rate=0.0" in stopped.stderr


@pytest.mark.slow
def test_a_trial_whose_process_died_has_failed_and_the_search_goes_on(place):
    space = ["seed=choice(104)", "lora.rank=int(interval(2,64))"]
    words = ["-m", "hydra/sweeper=optuna", *space, "name=dying", "hydra.sweeper.max_failure_rate=1.0"]
    beside = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=3"]
    done = sweep(place, *words, *beside)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    axes = {each.key_or_group: distribution(each) for each in OverridesParser.create().parse_overrides(space)}
    study = open_study(place / "multirun" / "dying" / "search.log", axes, "val/loss", 0, beside=True)
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 3


def test_trials_side_by_side_are_not_all_suggested_at_one_place(tmp_path):
    """TPE without `constant_liar` does not see those that go on: it suggests the best place again and again."""
    space = {"x": distribution(OverridesParser.create().parse_overrides(["x=interval(0,1)"])[0])}
    near = {}
    for beside in (False, True):
        study = open_study(tmp_path / f"{beside}.log", space, "val/loss", 0, beside=beside)
        for tenth in range(11):
            study.enqueue_trial({"x": tenth / 10})
            trial = study.ask(space)
            study.tell(trial, (trial.params["x"] - 0.3) ** 2)
        for _ in range(20):
            study.enqueue_trial({"x": 0.3})
            study.ask(space)  # goes on
        near[beside] = sum(abs(study.ask(space).params["x"] - 0.3) < 0.1 for _ in range(20))
    assert near[True] < 12 < 16 < near[False], near


@pytest.mark.slow
def test_a_trial_that_was_killed_is_run_first(place):
    words = ["-m", "hydra/sweeper=optuna", "seed=choice(103)", "lora.rank=int(interval(2,64))", "name=killed"]
    process = begin(place, *words, "hydra.sweeper.n_trials=1")
    trial = next(said for said in process.stdout if said.startswith("works on "))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    (place / "mended").touch()
    again = sweep(place, *words, "hydra.sweeper.n_trials=2")
    assert again.returncode == 0 and len(worked_on(again)) == 2
    assert worked_on(again)[0] == trial.removeprefix("works on ").strip()


def test_a_search_says_what_it_needs(place, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(names=["optuna"]))
    blocked = {"PYTHONPATH": str(tmp_path)}
    done = command("program.py", *SEARCH, *PHANTOM, cwd=place, cache=place / "cache", environment=blocked)
    assert done.returncode == 2 and '-e ".[optuna]"' in done.stderr and "Traceback" not in done.stderr
