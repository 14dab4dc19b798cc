"""Someone else's folder: what it names is not run, what it holds is not followed out of it."""

import os
import shutil
from functools import cache
from pathlib import Path

import pytest
import yaml
from commands import CONF, ROOT
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rococap.config import build, register
from rococap.recipe.recipe import Recipe, plain
from rococap.runs.folder import RunFolder
from rococap.runs.recipe_file import literal
from rococap.types import UserError

COPY = {"_target_": "shutil.copyfile", "src": "/etc/hostname", "dst": "copied"}


KEYS = ["name", "seed", "monitor", "baselines", "features", "data", "decoding", "model", "lora", "optimizer"]
KEYS += ["scheduler", "precision", "augment", "trainer", "metrics", "callbacks", "logger"]
FILES = [file for file in sorted(CONF.glob("*/*.yaml")) if file.parent.name in KEYS and "_target_" in file.read_text()]


@cache
def composed(*words):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plain(OmegaConf.masked_copy(compose("train", ["name=a", *words]), KEYS))


def recipe(*words):
    return OmegaConf.create(composed(*words))


def folder_of(path, config, trusted=False):
    (path / "run").mkdir(exist_ok=True)
    (path / "run" / "config.yaml").write_text(yaml.safe_dump(plain(config), sort_keys=False))
    return RunFolder(path / "run", trusted)


@pytest.mark.parametrize("words", [[], ["experiment=smoke"], ["experiment=demo", "model=tiny_vlm", "lora=none"]])
def test_what_ships_is_opened(tmp_path, words):
    assert folder_of(tmp_path, recipe(*words)).recipe == recipe(*words)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}={file.stem}")
def test_every_choice_is_opened(tmp_path, file):
    settings = recipe()
    settings[file.parent.name] = literal(yaml.safe_load(file.read_text()))
    assert folder_of(tmp_path, settings).recipe == settings


@pytest.mark.parametrize(
    ("where", "target"),
    [
        *(("optimizer", f"torch.optim.{name}") for name in ("SGD", "Adam", "NAdam", "adamw.AdamW")),
        ("optimizer", "transformers.optimization.Adafactor"),
        ("callbacks.progress", "pytorch_lightning.callbacks.TQDMProgressBar"),
        ("callbacks.progress.theme", "pytorch_lightning.callbacks.progress.rich_progress.RichProgressBarTheme"),
        ("trainer.strategy", "pytorch_lightning.strategies.DDPStrategy"),
        ("logger.files", "pytorch_lightning.loggers.CSVLogger"),
    ],
)
def test_classes_of_the_libraries_that_a_group_takes_are_no_danger(tmp_path, where, target):
    settings = recipe("logger=[]")
    OmegaConf.update(settings, f"{where}._target_", target, force_add=True)
    assert folder_of(tmp_path, settings).recipe == settings


@pytest.mark.parametrize(
    ("where", "target"),
    [
        ("model", "shutil.copyfile"),
        ("lora", "logging.FileHandler"),
        ("data.source", "torch.load"),
        ("precision", "os.system"),
        ("metrics.cider", "runpy.run_path"),
        ("augment", "builtins.eval"),
        ("metrics.new", "subprocess.Popen"),
        ("callbacks.progress", "shutil.copyfile"),
        ("logger.csv", "shutil.copyfile"),
        ("trainer.profiler", "shutil.copyfile"),
        ("optimizer", "shutil.copyfile"),
        ("decoding", "shutil.copyfile"),
        ("data", "shutil.copyfile"),
        ("elsewhere.deep.down", "shutil.copyfile"),
        # What another group may have, and what is reached through a library that is allowed.
        ("model", "pytorch_lightning.Trainer"),
        ("metrics.cider", "rococap.loggers.wandb.wandb_logger"),
        ("model", "torch.optim.SGD"),
        ("optimizer", "torch.optim.optimizer.torch.load"),
        ("optimizer", "torch.optim.adamw.torch.serialization.load"),
        ("callbacks.progress", "pytorch_lightning.callbacks.timer.timedelta"),
        ("scheduler", "transformers.optimization.warnings.sys.exit"),
        ("model", "rococap.models.hub.load"),
        ("model", "rococap.models.tiny.Path"),
        ("model", "${oc.env:TARGET}"),
        ("model", " rococap.models.tiny.tiny"),
        ("model", ""),
        ("model", None),
        ("model", ["rococap.models.tiny.tiny"]),
        ("model", {"_target_": "shutil.copyfile"}),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path, monkeypatch, where, target):
    monkeypatch.setenv("TARGET", "rococap.models.tiny.tiny")
    settings = recipe()
    node = {"_target_": target} if not isinstance(target, dict) else {"_target_": target, "x": 1}
    OmegaConf.update(settings, where, literal(node), force_add=True, merge=True)
    with pytest.raises(UserError, match="--trust") as refusal:
        Recipe.of_run(folder_of(tmp_path, settings))
    said = str(refusal.value)
    assert len(said.splitlines()) == 2 and f"{where}._target_=" in said and "of this checkout does not name" in said
    if not where.startswith("data"):
        assert folder_of(tmp_path, settings, trusted=True).recipe == settings


@pytest.mark.parametrize(
    ("root", "safe"),
    [
        ("pipe:touch ran", False),
        ("a.tar::pipe:touch ran", False),
        ("pip{e,f}:touch ran", False),
        ("{x/,pipe}:touch ran", False),
        ("{pipe:touch ran,a}", False),
        ("train-{0..9}.tar::val-{0..9}.tar", True),
        ("https://host/train-{0..9}.tar", True),
        ("/data/{a,b}.tar", True),
        ("data", True),
    ],
)
def test_shards_that_a_command_delivers_are_a_program(tmp_path, root, safe):
    settings = recipe("data=webdataset")
    settings.data.root = settings.data.source.root = root
    settings = folder_of(tmp_path, settings)
    if safe:
        assert settings.recipe.data.root == root
    else:
        with pytest.raises(UserError, match=r"data\.source\.root=.*touch ran.*, a program to start"):
            _ = settings.recipe


@pytest.mark.parametrize("where", ["model.path", "model.x.y", "metrics.cider.list", "trainer.callbacks"])
def test_what_lies_deep_or_in_a_list_is_refused_too(tmp_path, where):
    settings = recipe()
    for value in (COPY, [COPY], [[1, {"x": [COPY]}]]):
        OmegaConf.update(settings, where, value, force_add=True, merge=False)
        with pytest.raises(UserError, match=r"_target_=shutil.copyfile"):
            _ = folder_of(tmp_path, settings).recipe


def test_a_program_is_not_started_and_arguments_have_names(tmp_path):
    settings = recipe("metrics=[bleurt]", "metrics.bleurt.python=/tmp/evil")
    with pytest.raises(UserError, match=r"metrics.bleurt.python=/tmp/evil, a program to start.*\n.*--trust"):
        _ = folder_of(tmp_path, settings).recipe
    settings = recipe("metrics=[bleurt]", "+metrics.bleurt._args_=[model,/tmp/evil]")
    with pytest.raises(UserError, match=r"metrics.bleurt._args_, arguments without names"):
        _ = folder_of(tmp_path, settings).recipe


@pytest.mark.parametrize(
    "text", ["${oc.env:SECRET}", r"\${oc.env:SECRET}", r"\\${oc.env:SECRET}", "a ${", "${name}", "${now:%Y}", "${"]
)
def test_nothing_is_looked_up_in_what_a_folder_says(tmp_path, monkeypatch, text):
    """Such as a secret of the environment, which a message or a page would then show."""
    monkeypatch.setenv("SECRET", "do not tell")
    settings = recipe("data=phantom")
    new = {"name": text, "model": {"_target_": "builtins.dict", "text": [{"in": text}]}}
    settings = OmegaConf.merge(OmegaConf.masked_copy(settings, ["seed", "data"]), literal(new))
    opened = folder_of(tmp_path, settings, trusted=True).recipe
    assert opened.name == text and plain(opened)["name"] == text
    assert build(opened.model) == {"text": [{"in": text}]}
    RunFolder(tmp_path).write_recipe(opened)
    again = RunFolder(tmp_path).config
    assert again == opened and yaml.safe_load((tmp_path / "config.yaml").read_text())["name"] == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!!python/object/apply:os.system ['touch ran']", "is no recipe"),
        ("model: !!python/name:os.system", "is no recipe"),
        ("a: &x [1, 2]\nb: *x", "references within YAML"),
        ("a: [", "is no recipe"),
        ("", "holds no recipe"),
        ("- a\n- b", "holds no recipe"),
        ("42", "no recipe"),
        ("a: {" * 3000, "is no recipe"),
        ("a: 1\na: 2", "is no recipe"),
        ("a: !!binary aGVsbG8=", ""),
        ("a: !!set {x, y}", "is no recipe"),
    ],
)
def test_a_config_that_is_no_recipe_is_one_clear_answer(tmp_path, text, said):
    (tmp_path / "config.yaml").write_text(text)
    if said:
        with pytest.raises(UserError, match=said) as refusal:
            _ = RunFolder(tmp_path).config
        assert str(tmp_path / "config.yaml") in str(refusal.value) and len(str(refusal.value).splitlines()) == 1
    else:
        assert RunFolder(tmp_path).config.a == b"hello"
    assert not Path("ran").exists()


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    folder = folder_of(tmp_path, settings := recipe())
    (folder.path / "predictions").symlink_to(tmp_path)
    with pytest.raises(UserError, match=rf"predictions is a link out of the folder, to {tmp_path}.*\n.*--trust"):
        _ = folder.recipe
    assert RunFolder(folder.path, trusted=True).recipe == settings
    (folder.path / "predictions").unlink()
    (folder.path / "wandb").mkdir()
    (folder.path / "wandb" / "latest").symlink_to(tmp_path)  # W&B's own
    (folder.path / "last").symlink_to("config.yaml")
    assert folder.recipe == settings
    os.mkfifo(folder.path / "samples.png")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        _ = folder.recipe


@pytest.mark.parametrize("name", ["../x.ckpt", "checkpoints/../../x.ckpt", "/etc/hostname", 7, ["x"], {}, ""])
def test_a_best_checkpoint_lies_in_the_folder(tmp_path, name):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (tmp_path / "x.ckpt").write_text("")
    folder.note(best_checkpoint=name)
    with pytest.raises(UserError, match=r"does not lie in this folder|no checkpoint yet"):
        folder.best_checkpoint()


COMMANDS = {
    "evaluate": ("--run", "RUN"),
    "caption": ("--run", "RUN", "image.png"),
    "submit": ("--run", "RUN"),
    "compare": ("RUN", "OTHER"),
}


@pytest.mark.parametrize("script", COMMANDS)
@pytest.mark.parametrize(
    "evil",
    [
        COPY,
        {"_target_": "logging.FileHandler", "filename": "copied"},
        {"_target_": "torch.load", "f": "bomb", "weights_only": False},
    ],
)
def test_no_command_runs_what_a_folder_names(tmp_path, finished, run, script, evil):
    for name in ("one", "other"):
        shutil.copytree(finished, tmp_path / name, ignore=shutil.ignore_patterns("wandb", "checkpoints"))
    file = tmp_path / "one" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    group = "metrics" if script == "compare" else "data"
    config[group]["bleu" if script == "compare" else "source"] = evil
    file.write_text(yaml.safe_dump(config))
    words = [{"RUN": tmp_path / "one", "OTHER": tmp_path / "other"}.get(word, word) for word in COMMANDS[script]]
    done = run(ROOT / f"scripts/{script}.py", *words)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 2, done.stderr
    assert f"_target_={evil['_target_']}" in done.stderr and "--trust" in done.stderr
    assert not list(tmp_path.rglob("copied"))
