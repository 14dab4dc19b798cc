"""From the command to the first step on prepared data, against importing the packages alone."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from rococap.benchmark.processes import answer

IMPORTS = "import torch, pytorch_lightning, transformers, peft, wandb; print('{}')"


class FirstStep(pl.Callback):
    """Ends the process, with the time on its last line, when a step has been made."""

    def on_train_batch_end(self, *_: Any) -> None:
        print(json.dumps({"at": time.time()}), flush=True)
        os._exit(0)


def measure(train: Path, rounds: int) -> dict[str, Any]:
    """The tiny captioner on 256 drawn images.

    Args:
        train: train.py.

    Returns:
        ratio: seconds to the first step over those of the imports.
    """
    sides = {"imports alone": 0.0, "to the first step": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROCOCAP_CACHE"] = str(Path(folder) / "cache")
        for number in range(rounds + 1):  # the first prepares images and features, and counts for nothing
            for name, seconds in (("imports alone", _imports()), ("to the first step", _first_step(train, folder))):
                sides[name] += seconds if number else 0.0
    imports, step = sides.values()
    return {"ratio": step / imports, "seconds": step / rounds, "sides": sides}


def _imports() -> float:
    begun = time.time()
    answer("importing", ["-c", IMPORTS])
    return time.time() - begun


def _first_step(train: Path, folder: str) -> float:
    words = ["data=phantom", "model=tiny", "data.source.train=256", "data.source.valid=8", "data.source.test=8"]
    words += [f"hydra.run.dir={folder}/{time.time_ns()}", "metrics=[]", "logger=[csv]"]
    words += [f"+callbacks.first._target_={FirstStep.__module__}.{FirstStep.__name__}"]
    begun = time.time()
    return float(answer("train.py", [train, *words])["at"]) - begun
