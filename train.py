"""Train a captioner: `python train.py [setting=value ...]`; `python train.py --help` names the settings."""

from __future__ import annotations

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rococap.checks.command_line import check_command_line
from rococap.cli import user_errors
from rococap.config import register
from rococap.runs.claims import claim
from rococap.runs.interruption import guarded
from rococap.runs.session import session
from rococap.runs.terminal import show_run
from rococap.sweeps.gpus import gpu_of_job
from rococap.sweeps.plugins import register_sweepers

CONF = Path(__file__).resolve().parent / "conf"


@hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
@guarded
def main(cfg: DictConfig) -> float:
    """One run, or one job of a sweep; gives the value that a sweeper may optimize."""
    folder = claim(Path(HydraConfig.get().runtime.output_dir), cfg)
    if not folder.done:
        with gpu_of_job(cfg.trainer.accelerator, cfg.trainer.devices), session(folder) as clock:
            from rococap.report.run import report  # these import torch: only once the folder is known to be right
            from rococap.training.train import train

            train(cfg, folder, clock, report)
    show_run(folder)
    return folder.best_score


if __name__ == "__main__":
    register()
    register_sweepers()
    with user_errors():
        check_command_line(CONF)
        main()
