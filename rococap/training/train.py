"""One run: every part is built here, in one line each."""

from __future__ import annotations

import logging
import sys
import warnings
from statistics import mode

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from omegaconf import DictConfig
from rich.console import Console

from rococap.config import build
from rococap.data.datamodule import CaptionData
from rococap.evaluation import evaluate as evaluation
from rococap.loggers.finish import finish
from rococap.models.audit import audit, audit_table
from rococap.models.export import export
from rococap.recipe import parts as building
from rococap.recipe.captioning import decoding
from rococap.recipe.precision import device_type
from rococap.runs.changes import conf_folder, write_environment
from rococap.runs.environment import environment, peak_memory, reset_peak_memory
from rococap.runs.folder import RunFolder
from rococap.runs.locks import is_helper
from rococap.runs.monitor import monitored
from rococap.runs.session import Clock
from rococap.training.augment import Augment, sheet
from rococap.training.callbacks import Records, checkpoints
from rococap.training.module import CaptionModule
from rococap.training.optim import refuse_paged

console = Console(quiet=is_helper())
_SHOWN = 6  # images, and draws of each


def train(cfg: DictConfig, folder: RunFolder, clock: Clock, report: evaluation.Report) -> None:
    """Train, caption and score by a composed recipe, or go on where the folder's run stopped.

    Args:
        folder: claimed by this process.
        clock: of this session.
        report: draws the run's page and samples.png; handed in, since pages stand above this.

    Raises:
        UserError: what the user can mend.
    """
    _quiet()
    pl.seed_everything(cfg.seed, verbose=False)
    device = device_type(cfg.trainer.accelerator)
    reset_peak_memory(device)
    arithmetic = build(cfg.precision).lightning(device)
    optimizer = build(cfg.optimizer, _convert_="all")  # plain values: checkpoints hold them
    refuse_paged(optimizer, device)
    scorer = evaluation.scorer(cfg)
    recipe = building.recipe(cfg)
    loggers = [logger(folder, recipe) for logger in build(cfg.logger).values() if not is_helper()]
    source = build(cfg.data.source)
    source.examples("train")  # a missing dataset is said before a model is loaded
    captioner = building.build_captioner(cfg)
    building.set_up_training(captioner, cfg)
    parts = audit(captioner)
    data = building.build_data(cfg, source, captioner)
    write_environment(folder, environment(conf_folder(HydraConfig.get()), device, arithmetic, data.fingerprint))
    data.examples("valid")  # images and tokens are made ready before anything runs
    folder.note(common_caption=mode(example.captions[0] for example in data.examples("train")))
    console.print(audit_table(parts))
    folder.note(trainable_parameters=sum(part.trainable for part in parts))
    augment = build(cfg.augment)
    if augment is not None:
        _show(augment, data, folder)
    monitor = monitored(cfg.monitor, cfg.metrics)
    module = CaptionModule(
        captioner,
        optimizer,
        build(cfg.scheduler),
        evaluation.watched(scorer, evaluation.watch(captioner, folder)),
        decoding(cfg),
        cfg.seed,
        augment,
    )
    trainer: pl.Trainer = build(
        cfg.trainer,
        precision=arithmetic,
        callbacks=[*build(cfg.callbacks).values(), Records(folder, monitor, clock), checkpoints(folder)],
        logger=loggers,
        plugins=[SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else [],  # the launcher requeues
        default_root_dir=str(folder.path),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the data's own sampler shares batches out
    )
    captioner.train()  # where features were just encoded it is in eval mode, and Lightning would leave it there
    with clock.part("training"):
        trainer.fit(module, datamodule=data, ckpt_path=folder.last_checkpoint())
    if is_helper():
        sys.exit()  # captions and scores are the first process's
    building.load_best(captioner, folder)
    export(captioner, folder.path)
    examples = data.examples("test")  # prepared once for all runs: no part of what captioning costs this one
    with clock.part("captioning"):
        evaluation.caption_split(captioner, data, "test", folder, cfg)
    with clock.part("scoring"):
        rows = evaluation.score_split(captioner, data, "test", folder, cfg)
    folder.note_peak(peak_memory(device))
    finish(trainer.loggers, rows, report(folder, "test", examples, captioner), examples, trainer.global_step)


def _show(augment: Augment, data: CaptionData, folder: RunFolder) -> None:
    """Write augment.png: what happens to the first training images."""
    images = data.dataset("train")
    first = images[list(range(min(_SHOWN, len(images.ids))))].pixel_values
    assert first is not None  # no features are kept of images that change
    sheet(augment, first, _SHOWN).save(folder.path / "augment.png")


def _quiet() -> None:
    """Silence advice that is about this program, not about the run."""
    lightning = ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda")
    for name in (*lightning, "lightning_fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # what is logged has been shared out
    for advice in (".*module\\(s\\) in eval mode.*", ".*smaller than the logging interval.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message=advice)
