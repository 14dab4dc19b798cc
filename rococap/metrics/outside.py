"""Metrics that a Python of its own computes, since what they need does not go with what rococap needs."""

from __future__ import annotations

import json
import os
import subprocess
from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rococap.metrics.base import FloatArray, IntArray, Metric, Tokenizer, Unscored
from rococap.metrics.text import AsWritten, Texts, sendable
from rococap.types import UserError

_WORKERS = Path(__file__).with_name("workers")
# Nothing is downloaded unasked; and a worker finds what lies beside it.
_VARIABLES = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONSAFEPATH": ""}
Pair = tuple[str, str]  # reference, caption


class OutsideMetric(Metric):
    """Scores of pairs of texts by a worker; of several references the best. Blind scores cost 20 times as much.

    Statistics are a numerator and a denominator of each score: of a mean the score and 1.

    Args:
        python: the interpreter of the environment that has what it needs.
    """

    key: ClassVar[str]  # in a recipe
    counted: ClassVar[tuple[str, ...]] = ()  # names that are no means of their samples' scores
    tokenizer: ClassVar[Tokenizer] = AsWritten()

    def __init__(self, python: str | None) -> None:
        self.python = python
        self._facts: tuple[str, ...] | None = None  # of a signature, as the worker last said them

    @property
    @abstractmethod
    def how_to_get(self) -> str:
        """What it needs, with the commands that get it, and the setting that names it."""

    @property
    @abstractmethod
    def request(self) -> dict[str, Any]:
        """What its worker is told beside the pairs."""

    def check(self) -> None:
        """Raise UserError unless that Python has all that it needs."""
        self._run([])

    def settings(self, samples: int) -> tuple[str, ...]:
        """What the worker says of itself, such as a package's version."""
        return self._facts if self._facts is not None else tuple(self._run([])["facts"])

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2 x names]`; each different pair is scored once. Raises Unscored."""
        references, groups = list(chain.from_iterable(texts.references)), texts.groups
        wanted = [
            (references[place], texts.predictions[caption])
            for order in orders
            for place, caption in enumerate(order[groups])
        ]
        pairs = list(dict.fromkeys(wanted))
        answer = self._run(pairs)
        if lost := {pair for pair, score in zip(pairs, answer["scores"], strict=True) if score is None}:
            rows = {int(groups[place % len(groups)]) for place, pair in enumerate(wanted) if pair in lost}
            raise Unscored(self.key, sorted(rows), answer["why"])
        scores = dict(zip(pairs, answer["scores"], strict=True))
        found = np.array([scores[pair] for pair in wanted]).reshape(len(orders), len(references), 2, len(self.names))
        return _best(found, np.searchsorted(groups, np.arange(len(texts))))

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., 2 x names] -> [..., names]`; NaN where the denominator is 0."""
        above, below = np.split(sums, 2, axis=-1)
        return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)

    def perfect(self, sums: FloatArray, samples: int) -> FloatArray:
        """`[..., 2 x names]`: 1, of the usual denominator, which is 1 of a mean."""
        counted = np.array([name in self.counted for name in self.names])
        below = np.where(counted, np.split(sums, 2, axis=-1)[1] / samples, 1.0)
        return np.concatenate([below, below], axis=-1)

    def _run(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        if self.python is None:
            raise UserError(self.how_to_get)
        command = [self.python, str(_WORKERS / f"{self.key}_worker.py")]
        try:
            done = subprocess.run(
                command,
                input=json.dumps({"settings": self.request, "pairs": [tuple(map(sendable, pair)) for pair in pairs]}),
                capture_output=True,
                text=True,
                env={**os.environ, **_VARIABLES},
            )
        except OSError as error:
            raise UserError(
                f"metrics.{self.key}.python={self.python} does not run: {error.strerror}.\n{self.how_to_get}"
            ) from error
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise UserError(f"{self.key} failed in {self.python}: {last[0][:300]}\n{self.how_to_get}")
        answer: dict[str, Any] = json.loads(done.stdout)
        self._facts = tuple(answer["facts"])
        return answer


def _best(found: FloatArray, starts: IntArray) -> FloatArray:
    """`[orders, references, 2, names]` -> `[orders, samples, 2 x names]`: of each score the reference with the best."""
    above, below = found[:, :, 0], found[:, :, 1]
    scores = np.divide(above, below, out=np.full_like(above, -np.inf), where=below != 0)
    ends = [*starts[1:].tolist(), scores.shape[1]]
    chosen = np.stack([start + scores[:, start:end].argmax(axis=1) for start, end in zip(starts, ends, strict=True)], 1)
    return np.concatenate([np.take_along_axis(side, chosen, axis=1) for side in (above, below)], axis=-1)
