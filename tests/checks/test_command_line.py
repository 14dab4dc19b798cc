import shutil
from pathlib import Path

import pytest
import yaml
from commands import CONF
from omegaconf import OmegaConf

from rococap.checks.command_line import check_command_line
from rococap.types import UserError

LISTS = {"metrics", "callbacks", "logger"}
CHOICES = sorted(file.relative_to(CONF).with_suffix("") for file in CONF.glob("*/**/*.yaml"))


def faults(*argv: str, conf: Path = CONF) -> str:
    with pytest.raises(UserError) as error:
        check_command_line(conf, argv=argv)
    return str(error.value)


@pytest.fixture
def conf(tmp_path):
    """A copy of the config folder, to be spoilt."""
    return Path(shutil.copytree(CONF, tmp_path / "conf"))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if str(choice) != "data/base"], ids=str)
def test_every_shipped_file_composes_and_is_right(choice, jobs):
    group, name = str(choice.parent), choice.name
    model = ["model=tiny_detector"] if (group, name) == ("metrics", "concepts") else []  # it scores no captions
    check_command_line(CONF, argv=[f"{group}=[{name}]" if group in LISTS else f"{group}={name}", *model])
    said = OmegaConf.load(CONF / choice.with_suffix(".yaml"))
    place = "" if "@package _global_" in (CONF / choice.with_suffix(".yaml")).read_text() else group.replace("/", ".")
    found = OmegaConf.select(jobs[0], place) if place else jobs[0]
    if group in LISTS and len(said) == 1:
        assert found.keys() == said.keys()
    assert said.keys() - {"defaults"} <= found.keys() and len(jobs) >= 1


def test_what_all_datasets_share_is_no_dataset():
    assert "choose a dataset, such as data=rocov2" in faults("data=base")


@pytest.mark.parametrize(
    ("argv", "path", "found"),
    [
        ([], "lora.rank", [16]),
        (["data.fraction=0.2", "trainer.max_epochs=7"], "data.fraction", [0.2]),
        (["metrics=[]", "logger=[]", "callbacks=[]"], "metrics", [{}]),
        (["name=2024", "data.root='a b'"], "data.root", ["a b"]),
        (["lora=none", "~scheduler.warmup", "+scheduler.warmup=0.2"], "scheduler.warmup", [0.2]),
        (["+trainer.limit_val_batches=4", "++trainer.max_epochs=2"], "trainer.max_epochs", [2]),
        (["+trainer.limit_val_batches=4", "trainer.limit_val_batches=2"], "trainer.limit_val_batches", [2]),
        (["lora.target_modules=[c_attn]", "lora.target_modules.0=c_proj"], "lora.target_modules", [["c_proj"]]),
        (["hydra.run.dir=elsewhere", "hydra.job.chdir=false"], "hydra.run.dir", ["elsewhere"]),
        (["--cfg", "job"], "lora.rank", [16]),
        (["--help", "anything"], "lora.rank", []),
        # Of a sweep first what its jobs share, then each job.
        (["-m", "lora.rank=4,8", "optimizer.lr=1e-4,2e-4"], "lora.rank", [16, 4, 8, 4, 8]),
        (["-m", "lora.rank=range(1,4)", "seed=choice(5,6)"], "lora.rank", [16, 1, 2, 3, 1, 2, 3]),
        (["-m", "model=glob(vit_gpt2*)"], "hydra.runtime.choices.model", ["vit_gpt2", "vit_gpt2", "vit_gpt2_fresh"]),
        (["hydra.mode=MULTIRUN", "lora.rank=4,8"], "lora.rank", [16, 4, 8]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_right_command_lines(argv, path, found, jobs):
    check_command_line(CONF, argv=argv)
    assert sorted(map(str, found)) == sorted(str(OmegaConf.select(job, path)) for job in jobs)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("lora.rnak=4", "lora.rnak=4: no such setting with lora=attention; did you mean lora.rank?"),
        ("trainer.max_epoch=6", "did you mean trainer.max_epochs?"),
        ("rank=4", "did you mean lora.rank?"),
        ("batch_size=4", "did you mean data.batch_size or decoding.batch_size?"),
        ("modle=tiny", "did you mean model?"),
        ("trainer.limit_val_batches=4", "write +trainer.limit_val_batches=4"),
        ("trainer.limit_val_batch=4", "did you mean +trainer.limit_val_batches?"),
        ("+trainer.max_epoch=6", "did you mean max_epochs?"),
        ("+lora.rank=4", "write lora.rank=..., without +"),
        ("~lora.rnak", "did you mean lora.rank?"),
        ("seed.x=3", "no such setting"),
        ("data.fraction=1.5", "data.fraction: must be more than 0 and at most 1, not 1.5"),
        ("data.fraction=abc", "data.fraction: must be a number, not 'abc'"),
        ("seed=x", "seed: must be a whole number, not 'x'"),
        ("model=vitgpt2", "no choice 'vitgpt2'; did you mean vit_gpt2? available: "),
        ("metrics=[bleu,cidre]", "no choice 'cidre'; did you mean cider? available: "),
        ("hydra/launcher=cluster", "no choice 'cluster'; available: "),
        ("lora.rank", "must be of the form key=value"),
        ("data.root=(", "can't be read"),
        ("lora.rank=4,8", "add -m"),
        ("lora.rank=range(1,4)", "add -m"),
        ("name=../elsewhere", "must be a folder below multirun/"),
        ("model._target_=rococap.models.vit_gpt2.publishd", "did you mean published?"),
        ("data.root=${nowhere}", "nowhere"),
    ],
)
def test_one_mistake_is_one_line(word, said):
    message = faults(word)
    assert said in message
    assert "Traceback" not in message


def test_all_mistakes_are_reported_at_once():
    message = faults("lora.rnak=4", "+x=(", "model=vitgpt2", "data.fraction=1.5", "seed=x", "trainer.max_epoch=6")
    assert message.startswith("6 mistakes, nothing was started:\n")
    assert [line.split("=")[0].split(":")[0].strip() for line in message.splitlines()[1:]] == [
        "+x",
        "model",
        "lora.rnak",
        "trainer.max_epoch",
        "seed",
        "data.fraction",
    ]


def test_settings_of_a_choice_that_failed_are_not_judged():
    assert faults("model=vit_gpt2_frehs", "model.encoder=x").count("\n") == 0


def test_every_value_of_a_sweep_is_checked():
    message = faults("-m", "lora.rank=4,0", "model=tiny,vitgpt2", "optimizer.lr=1e-4,abc", "lora.rnak=1,2")
    for said in ["lora.rank: must be at least 1, not 0", "'vitgpt2'", "'abc'", "lora.rnak=1", "lora.rnak=2"]:
        assert said in message


def test_a_job_is_checked_where_each_of_its_values_alone_is_right():
    """Without cider, val/cider can't be monitored; but only one of the four jobs asks for that."""
    message = faults("-m", "metrics=[cider],[bleu]", "monitor=auto,val/cider")
    assert message.startswith("monitor: must be auto or a value that the chosen metrics give (val/loss, val/bleu_1")


def test_a_sweep_over_what_a_choice_lacks():
    assert "lora.rank=4: no such setting with lora=none" in faults("-m", "lora.rank=4,8", "lora=attention,none")


def test_a_sweep_written_in_a_file(conf):
    sweep = {"hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"lora.rank": "4,8,0", "lora.rnak": "1"}}}}
    write(conf / "sweep" / "ranks.yaml", "# @package _global_\n" + yaml.safe_dump(sweep))
    message = faults("sweep=ranks", conf=conf)
    assert "lora.rank: must be at least 1, not 0" in message
    assert "lora.rnak=1: no such setting" in message
    assert "rnak" in faults("sweep=ranks", "lora.rank=4", conf=conf) and "not 0" not in faults(
        "sweep=ranks", "lora.rank=4", conf=conf
    )


def test_mistakes_in_files_name_the_file(conf):
    write(conf / "trainer" / "default.yaml", (conf / "trainer" / "default.yaml").read_text() + "max_epoch: 3\n")
    write(conf / "optimizer" / "adamw.yaml", "_target_: torch.optim.AdamW\n_partial_: true\nlr: fast\n")
    write(conf / "data" / "base.yaml", (conf / "data" / "base.yaml").read_text() + "fracton: 0.5\n")
    write(conf / "model" / "tiny.yaml", "_target_: rococap.models.vit_gpt2.published\n")
    write(conf / "experiment" / "demo.yaml", "# @package _global_\nseed: x\n")
    lines = faults("experiment=demo", "model=tiny", conf=conf).splitlines()[1:]
    files = {line.split(":")[0].strip(): Path(line.rpartition("(")[2].rstrip(")")).name for line in lines}
    assert files == {
        "trainer.max_epoch": "default.yaml",
        "optimizer.lr": "adamw.yaml",
        "data.fracton": "base.yaml",
        "model.path": "tiny.yaml",
        "seed": "demo.yaml",
    }


def test_a_command_mends_what_a_file_has_wrong(conf, jobs):
    write(conf / "experiment" / "demo.yaml", "# @package _global_\nseed: x\n")
    check_command_line(conf, argv=["experiment=demo", "seed=3"])
    assert [job.seed for job in jobs] == [3]
    assert "seed: must be a whole number" in faults("experiment=demo", conf=conf)


def test_experiments_are_suggested(conf):
    write(conf / "experiment" / "demo.yaml", "# @package _global_\nseed: 3\n")
    said = "experiment=dmeo: no choice 'dmeo'; did you mean demo? available: demo"
    assert faults("experiment=dmeo", conf=conf).startswith(said)


def test_a_file_that_chooses_what_is_not_there(conf):
    write(conf / "experiment" / "bad.yaml", "# @package _global_\ndefaults:\n  - override /model: vitgpt2\n")
    message = faults("experiment=bad", conf=conf)
    assert message.startswith("experiment=bad: ") and "Could not find 'model/vitgpt2'" in message
    assert "vit_gpt2_fresh" in message and "schema" not in message


def test_a_file_that_is_no_yaml(conf):
    write(conf / "model" / "broken.yaml", "_target_: [\n")
    assert "broken.yaml" in faults("model=broken", conf=conf)


def test_a_config_dir_adds_choices(tmp_path):
    write(tmp_path / "mine" / "model" / "mine.yaml", "_target_: rococap.models.tiny.tiny\n")
    write(tmp_path / "mine" / "model" / "wrong.yaml", "_target_: rococap.models.tiny.tiny\nsize: 3\n")
    directory = str(tmp_path / "mine")
    check_command_line(CONF, argv=["--config-dir", directory, "model=mine"])
    check_command_line(CONF, argv=[f"hydra.searchpath=[file://{directory}]", "model=mine"])
    message = faults("--config-dir", directory, "model=wrong")
    assert "model.size: no such setting of rococap.models.tiny.tiny" in message and "wrong.yaml" in message
    assert "no such folder" in faults("--config-dir", str(tmp_path / "other"))


def test_another_config_name_and_path(conf):
    write(conf / "short.yaml", "defaults: [train, _self_]\nseed: x\n")
    assert "seed" in faults("--config-path", str(conf), "--config-name", "short")
    assert "missing_one" in faults("--config-name", "missing_one")


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-m", "--cfg", "job"]], ids=" ".join)
def test_a_config_is_shown_of_one_run(flags):
    assert faults(*flags, "lora.rank=4,8") == "lora.rank=4,8: several values, and --cfg shows one run: give one of them"


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("optimizer.lr=interval(0,1e-2)", "optimizer.lr: must be more than 0, not 0.0"),
        ("lora.dropout=tag(log,interval(1e-3,1))", "lora.dropout: must be at least 0 and less than 1, not 1.0"),
        ("lora.rank=interval(1,8)", "lora.rank: must be a whole number, not 1.0"),
        ("lora.rank=int(interval(0,8))", "lora.rank: must be at least 1, not 0"),
        ("lora.rank=range(-4,9,4)", "lora.rank: must be at least 1, not -4"),
        ("scheduler=choice(linear,cosin)", "no choice 'cosin'; did you mean cosine?"),
        ("lora.rank=choice(4,0)", "lora.rank: must be at least 1, not 0"),
    ],
)
def test_of_a_search_every_choice_and_both_ends_are_checked(space, said):
    assert said in faults("-m", "hydra/sweeper=optuna", space, "seed=range(0,100000)")


@pytest.mark.parametrize(
    ("swept", "said"),
    [
        ("lora.dropout=tag(log,interval(0.0,0.1))", "more than 0"),
        ("lora.rank=tag(log,int(interval(0,4)))", "more than 0"),
        ("lora.dropout=interval(0.2,0.1)", "the lower first"),
        ("optimizer.lr=tag(log,interval(1e-4,-1))", "the lower first"),
        ("optimizer.lr=interval(nan,1)", "the lower first"),
        ("optimizer.lr=interval(1e-5,inf)", "the lower first"),
        ("lora.rank=range(4,4)", "no value"),
        ("lora.rank=range(1,5,-1)", "no value"),
        ("model=glob(nothing*)", "no value"),
        ("lora.rank=range(1,5,0)", "a step"),
        ("lora.rank=range(1,inf)", "a step"),
    ],
)
def test_a_space_that_can_not_be_searched_is_refused_beside_all_else(swept, said):
    message = faults("-m", "hydra/sweeper=optuna", swept, "seed=choice(1,x)")
    assert message.startswith("2 mistakes") and "seed: must be a whole number" in message
    assert said in next(line for line in message.splitlines() if line.startswith(f"  {swept}: "))


def test_an_axis_of_a_grid_has_values():
    message = faults("-m", "lora.rank=range(4,4)", "model=glob(nothing*)", "seed=range(1,5,0)", "data.fraction=0.1,2")
    for said in ["lora.rank=range(4,4): has no value", "model=glob(nothing*): has no value", "seed=range(1,5,0): must"]:
        assert said in message
    assert message.startswith("4 mistakes") and "data.fraction: must be more than 0 and at most 1, not 2" in message


def test_a_search_may_count_down():
    check_command_line(CONF, argv=["-m", "hydra/sweeper=optuna", "lora.rank=range(32,4,-4)"])
    assert "at least 1, not 0" in faults("-m", "hydra/sweeper=optuna", "lora.rank=range(32,-1,-4)")


def test_every_combination_of_a_large_grid_is_checked():
    axes = ["seed=range(0,70)", "precision=fp32,int8", "lora=attention,none"]
    assert faults("-m", "data=phantom", "model=tiny", *axes).startswith("lora: must not be none with precision=int8")


def test_a_grid_takes_no_interval():
    assert "only a search takes an interval" in faults("-m", "lora.dropout=interval(0,0.1)")
