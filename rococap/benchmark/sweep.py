"""A sweep, against the training, captioning and scoring of its jobs alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rococap.runs.folder import RunFolder
from rococap.types import UserError

PARTS = ("training", "captioning", "scoring")
RANKS = (2, 4, 8, 16)


def measure(train: Path, seeds: int) -> dict[str, Any]:
    """`experiment=smoke` with four ranks and some seeds, from empty caches; then the same command again.

    Args:
        train: train.py.

    Returns:
        ratio: seconds of the sweep over those of the parts, as each job's run.json tells them.
        seconds_again: of the command when all jobs have finished.

    Raises:
        UserError: a job failed.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "sweep"
        swept = [f"lora.rank={','.join(map(str, RANKS))}", f"seed={','.join(map(str, range(seeds)))}"]
        words = [train, "-m", "experiment=smoke", *swept, f"hydra.sweep.dir={folder}"]
        environment = {**os.environ, "ROCOCAP_CACHE": str(Path(place) / "cache")}
        whole, again = (_seconds([sys.executable, *map(str, words)], environment) for _ in range(2))
        jobs = [RunFolder(file.parent) for file in folder.glob("*/run.json")]
        alone = sum(job.state["seconds"][part] for job in jobs for part in PARTS)
        sides = {f"{', '.join(PARTS)} of {len(jobs)} jobs": alone, "the sweep": whole, "the same again": again}
        return {"ratio": whole / alone, "seconds_again": again, "sides": sides}


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    begun = time.monotonic()
    if subprocess.run(command, env=environment, check=False).returncode:  # its progress is shown
        raise UserError(f"a job failed; try it alone: {' '.join(command)}")
    return time.monotonic() - begun
