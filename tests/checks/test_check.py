import textwrap

import pytest
from commands import CONF
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from rococap.checks.config import problems
from rococap.config import untyped_root


@pytest.fixture
def recipe():
    """The starting recipe, open to whatever a YAML file could have put into it."""
    with untyped_root(), initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train")
    OmegaConf.set_struct(cfg, False)
    return cfg


def wrong(cfg, **changes):
    """Paths and faults after setting `a__b=value`."""
    for key, value in changes.items():
        OmegaConf.update(cfg, key.replace("__", "."), value)
    return dict(problems(cfg))


def test_the_starting_recipe_is_right(recipe):
    assert problems(recipe) == []


def test_everything_is_reported_at_once(recipe):
    found = wrong(
        recipe,
        lora__rnak=4,
        trainer__max_epoch=6,
        optimizer__lr="fast",
        data__fraction=1.5,
        data__fracton=0.5,
        seed="x",
        precision__compute="fp8",
        model___target_="rococap.models.vitgpt2.published",
    )
    assert found == {
        "lora.rnak": "no such setting of rococap.models.lora.add_lora; did you mean rank?",
        "trainer.max_epoch": "no such setting of pytorch_lightning.Trainer; did you mean max_epochs?",
        "optimizer.lr": "must be a number, not 'fast'",
        "data.fraction": "must be more than 0 and at most 1, not 1.5",
        "data.fracton": "no such setting; did you mean fraction?",
        "seed": "must be a whole number, not 'x'",
        "precision.compute": "must be auto or fp32 or fp16 or bf16, not 'fp8'",
        "model._target_": "rococap.models.vitgpt2.published: no 'vitgpt2' in rococap.models; did you mean vit_gpt2?",
    }


@pytest.mark.parametrize(
    ("path", "bad", "good"),
    [
        ("data.fraction", [0, -0.1, 1.01, "abc", None, True], [1, 0.001]),
        ("data.batch_size", [0, 2.5, "8"], [1]),
        ("data.max_tokens", [1], [2]),
        ("data.val_images", [0], [1, None]),
        ("data.workers", [-1], [0, None]),
        ("data.root", [["a"]], ["a b/c", None]),
        ("decoding.max_new_tokens", [0], [1]),
        ("decoding.num_beams", [0], [4]),
        ("seed", [-1, 2**32], [0, 2**32 - 1]),
        ("lora.rank", [0, 1.5], [1]),
        ("lora.dropout", [1, -0.1], [0]),
        ("lora.target_modules", ["c_attn", [1]], [["c_attn"]]),
        ("optimizer.lr", [0, "1e-3x"], [1e-3]),
        ("optimizer.betas", [[0.9], 0.9], [[0.8, 0.99]]),
        ("scheduler.warmup", [1.1, "a"], [0, 1]),
        ("trainer.max_epochs", [0, 2.5, "six"], [1]),
        ("trainer.devices", [2.5], [2, "auto", [0, 1]]),
        ("trainer.num_nodes", [0, "two"], [2]),
        ("trainer.strategy", ["fsdp", "ddp_spawn"], ["ddp", "auto"]),
        ("data.global_batch_size", [0, 2.5], [8, None]),
        ("monitor", ["val/cidre", "cider", 3], ["auto", "val/loss", "val/bleu_4"]),
        (
            "name",
            ["", "/x", "../x", "a/../b", "a//b", ".git", "a b", "a\n", "é" * 128],
            ["a", "a/b-1.5", "2024", "é"],
        ),
    ],
)
def test_values(recipe, path, bad, good):
    for value in bad:
        OmegaConf.update(recipe, path, value)
        assert path in dict(problems(recipe)), f"{path}={value!r} was accepted"
    for value in good:
        OmegaConf.update(recipe, path, value)
        assert problems(recipe) == []


def test_the_monitor_must_be_a_score_of_the_chosen_metrics(recipe):
    del recipe.metrics["cider"]
    assert "val/cider" in wrong(recipe, monitor="val/cider")["monitor"]


def test_mandatory_values(recipe):
    recipe.data.source = "???"
    recipe.trainer.max_epochs = "???"
    assert problems(recipe)[0].path == "data.source"
    assert "data=rocov2" in problems(recipe)[0].fault
    assert dict(problems(recipe))["trainer.max_epochs"] == "is not set"


def test_what_is_required_may_be_left_out_of_a_partial_node_only(recipe):
    del recipe.data.source["root"]
    assert "is missing" in wrong(recipe)["data.source.root"]
    recipe.data.source["_partial_"] = True
    assert wrong(recipe) == {}


def test_a_group_without_a_target(recipe):
    with open_dict(recipe):
        del recipe.optimizer["_target_"]
        recipe.metrics.extra = {"size": 3}
    assert set(wrong(recipe)) == {"optimizer", "metrics.extra"}


def test_interpolations(recipe):
    found = wrong(
        recipe,
        data__root="${nowhere.at_all}",
        name="${hydra:job.name}",  # only the running job knows
        optimizer__lr="${data.fraction}",
    )
    assert set(found) == {"data.root", "data.source.root"}
    assert "nowhere" in found["data.root"]


def test_nodes_inside_nodes_and_lists(recipe, tmp_path, monkeypatch):
    name = f"nested_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        textwrap.dedent("""
        class Inner:
            def __init__(self, size: int): ...
        class Outer:
            def __init__(self, inners: list[Inner], best: Inner | None = None, *args): ...
        def pair(left: int, right: int): ...
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    inner = {"_target_": f"{name}.Inner", "size": 3}
    callbacks = {
        "right": {"_target_": f"{name}.Outer", "inners": [inner], "best": None},
        "wrong": {
            "_target_": f"{name}.Outer",
            "inners": [inner, {**inner, "size": "big"}],
            "best": {**inner, "sise": 1},
        },
        "placed": {"_target_": f"{name}.pair", "_args_": [1, 2]},
        "short": {"_target_": f"{name}.pair", "_args_": [1]},
    }
    recipe.callbacks = callbacks
    assert set(wrong(recipe)) == {
        "callbacks.wrong.inners.1.size",
        "callbacks.wrong.best.sise",
        "callbacks.short.right",
    }
