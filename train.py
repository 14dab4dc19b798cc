"""Train a captioner: `python train.py [setting=value ...]`; `python train.py --help` names the settings."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from rococap.checks.command_line import check_command_line
from rococap.cli import exit_code, guarded, user_errors
from rococap.config import register

CONF = Path(__file__).resolve().parent / "conf"


@hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
@guarded
def main(cfg: DictConfig) -> float:
    """One run, or one job of a sweep; gives the value that a sweeper may optimize."""
    from rococap.report.samples import samples  # these import torch: only once the command is known to be right
    from rococap.training import train

    return train(cfg, samples)


if __name__ == "__main__":
    register()
    with user_errors():
        check_command_line(CONF)
        main()
    sys.exit(exit_code())
