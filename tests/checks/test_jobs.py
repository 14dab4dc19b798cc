"""What `Composer` makes of a command line is what Hydra makes of it: it composes chosen files once, and sets values."""

import hydra
import pytest
from commands import CONF
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from rococap.checks.jobs import Composer
from rococap.checks.overrides import parse
from rococap.config import register

LINES = [
    [],
    # groups
    ["data=phantom", "model=tiny"],
    ["model=vit_gpt2_fresh", "lora=none", "precision=fp32"],
    ["optimizer=schedule_free"],  # brings a scheduler
    ["optimizer=lion_8bit", "scheduler=cosine", "augment=light"],
    # values
    ["data.fraction=0.1", "trainer.max_epochs=6", "name=first"],
    ["optimizer.lr=1e-5", "scheduler.warmup=0", "lora.dropout=0"],
    ["data.root='a b'", 'model.path="c=d"', "name=2024"],
    ["data.val_images=null", "lora.alpha=null", "compile=true", "baselines=no"],
    ["seed=10", "seed=3"],  # the last word counts
    ["optimizer.betas=[0.8,0.99]"],
    ["decoding={max_new_tokens:3}"],  # a dictionary is merged
    ["optimizer={lr:1e-3,weight_decay:0.2}"],
    # what is added, and what is taken away
    ["+trainer.limit_val_batches=4"],
    ["++trainer.max_epochs=2", "++trainer.limit_val_batches=0.5"],
    ["+trainer.limit_val_batches=4", "trainer.limit_val_batches=2"],
    ["+optimizer.eps=1e-7", "~optimizer.weight_decay"],
    ["~scheduler.warmup", "+scheduler.warmup=0.1"],
    ["~experiment"],
    ["~logger.wandb"],
    ["~metrics.bleu", "monitor=val/loss"],
    # lists: of files, and as values
    ["metrics=[]", "logger=[]", "callbacks=[]"],
    ["metrics=[facts,bleu]", "metrics.bleu._target_=rococap.metrics.cider.Cider"],
    ["callbacks=[progress,early_stopping]", "callbacks.early_stopping.patience=2"],
    ["lora.target_modules=[c_attn]", "lora.target_modules.0=c_proj"],
    ["lora.target_modules=[]"],
    # files that choose files
    ["experiment=demo"],
    ["experiment=smoke", "metrics=[facts]", "data.source.train=16"],
    ["experiment=smoke", "data.source={train:3}"],
    ["experiment=rocov2_100", "data.fraction=0.5", "model=tiny"],
    ["experiment=demo", "optimizer=schedule_free", "optimizer.lr=0.1"],
    # interpolations
    ["data.root=/data", "name=${data.fraction}_${lora.rank}"],
    ["lora.alpha=${lora.rank}", "lora.rank=4"],
    ["lora.rank=4", "lora.alpha=${lora.rank}"],
    ["data.source.seed=${seed}", "seed=5", "data=phantom"],
    ["+trainer.limit_val_batches=${trainer.max_epochs}"],
    ["optimizer.lr=${oc.env:HOME_OF_NOBODY,0.25}"],
    # words of sweeps and of Hydra
    ["sweep=search"],
    ["sweep=lora_rank", "lora.rank=3", "name=ranks"],
    ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1"],
    ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3"],
    ["hydra.run.dir=elsewhere", "hydra.job.chdir=false", "lora.rank=2"],
]


@pytest.fixture(scope="module")
def composer():
    """One for all lines, as one is for all jobs of a sweep: no job may change what the next one is given."""
    register()
    with hydra.initialize_config_dir(str(CONF), job_name="train", version_base="1.3"):
        yield Composer(GlobalHydra.instance().hydra, "train", [])


def plain(cfg):
    """What a config holds when every name in it is looked up; the clock aside, which is asked twice."""
    cfg = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    if "now:" in str(OmegaConf.to_container(cfg)["name"]):
        cfg.name = "now"
    return OmegaConf.to_container(cfg, resolve=True)


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line) or "nothing")
def test_a_command_line_composes_as_hydra_composes_it(line, composer):
    overrides, problems = parse(line, composer.groups.loader)
    assert problems == []
    expected = hydra.compose("train", line)
    assert plain(composer.recipe(overrides)) == plain(expected)
    assert plain(composer.job(overrides)[0]) == plain(expected)


def test_the_same_line_composes_the_same_after_all_others(composer):
    """The files of a choice are read once and shared: a value that one job sets must not stay."""
    rank = [parse(line, composer.groups.loader)[0] for line in (["lora.rank=3", "~logger.wandb"], [], ["lora.rank=5"])]
    first, second, third = (composer.recipe(overrides) for overrides in rank)
    assert (first.lora.rank, second.lora.rank, third.lora.rank) == (3, 16, 5)
    assert "wandb" not in first.logger and "wandb" in second.logger and "wandb" in third.logger
