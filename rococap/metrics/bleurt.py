"""BLEURT (Sellam et al. 2020), which ImageCLEFmedical Caption reports of captions prepared as for its other metrics.

Its checkpoints are opened by bleurt-pytorch, which does not import under transformers 5: a Python of its own runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
from itertools import chain
from pathlib import Path

import numpy as np

from rococap.metrics.base import FloatArray, IntArray, MeanMetric, with_counts
from rococap.metrics.imageclef import EMPTIED, IMAGECLEF
from rococap.metrics.text import Texts
from rococap.types import UserError

_WORKER = Path(__file__).with_name("bleurt_worker.py")
_HOW_TO_GET = """\
metrics: bleurt needs bleurt-pytorch in a Python of its own, since it does not run under transformers 5.
Get it: python -m venv bleurt && bleurt/bin/pip install bleurt-pytorch "transformers==4.49.0" && hf download {model}
Then:   metrics.bleurt.python=bleurt/bin/python"""


class Bleurt(MeanMetric):
    """A learned score of each pair of texts; of several references the best. Blind scores cost 20 times as much.

    Args:
        model: a directory, or a name on the Hugging Face hub that is in its cache.
        python: the interpreter of the environment that has bleurt-pytorch.
        batch_size: pairs at once.
    """

    names = ("bleurt",)
    tokenizer = IMAGECLEF

    def __init__(self, model: str, python: str | None = None, batch_size: int = 64) -> None:
        self.model, self.python, self.batch_size = model, python, batch_size

    def check(self) -> None:
        """Raise UserError unless that Python has bleurt-pytorch and the checkpoint."""
        self._run([])

    def settings(self, samples: int) -> tuple[str, ...]:
        """The checkpoint."""
        return (f"model:{Path(self.model).name}",)

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2]`; each different pair is scored once."""
        references, groups = list(chain.from_iterable(texts.references)), texts.groups
        wanted = [
            (references[pair], texts.predictions[caption])
            for order in orders
            for pair, caption in enumerate(order[groups])
        ]
        pairs = list(dict.fromkeys(wanted))
        given = [(theirs.replace(EMPTIED, ""), ours.replace(EMPTIED, "")) for theirs, ours in pairs]
        scores = dict(zip(pairs, self._run(given), strict=True))
        found = np.array([scores[pair] for pair in wanted]).reshape(len(orders), len(references))
        starts = np.searchsorted(groups, np.arange(len(texts)))
        return with_counts(np.maximum.reduceat(found, starts, axis=1))

    def _run(self, pairs: list[tuple[str, str]]) -> list[float]:
        how_to_get = _HOW_TO_GET.format(model=self.model)
        if self.python is None:
            raise UserError(how_to_get)
        command = [self.python, str(_WORKER), self.model, str(self.batch_size)]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(pairs),
                capture_output=True,
                text=True,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},  # nothing is downloaded unasked
            )
        except OSError as error:
            raise UserError(
                f"metrics.bleurt.python={self.python} does not run: {error.strerror}.\n{how_to_get}"
            ) from error
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise UserError(f"bleurt failed in {self.python}: {last[0][:300]}\n{how_to_get}")
        scores: list[float] = json.loads(done.stdout)
        return scores
