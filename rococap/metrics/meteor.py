"""METEOR 1.5 (Denkowski and Lavie 2014), English, as pycocoevalcap runs it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from functools import cache
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from rococap.metrics import java
from rococap.metrics.background import background
from rococap.metrics.base import FloatArray, IntArray, Metric
from rococap.metrics.ptb import PACKAGES, PTB, SCORERS
from rococap.metrics.text import Texts

# The parameters tuned for English, and the weights of exact, stem, synonym and paraphrase matches.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])

_SHARE = 50_000  # lines that make up for another process: they take 25 s, its start 7 s
_MOST = 4  # processes, of 0.6 GB each


class Meteor(Metric):
    """Statistics: the 23 numbers of METEOR's SCORE command, of the best reference.

    [0:4] length of prediction and reference, function words of both; [4:20] for each of the four kinds of match the
    content words of both, then the function words of both; [20] chunks; [21:23] matched words of both.
    """

    names = ("meteor",)
    tokenizer = PTB
    packages = PACKAGES
    scorers = SCORERS

    def warm_up(self) -> None:
        """Start Java, which reads METEOR's tables for some seconds."""
        _server().start()

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 23]`, from Java. Raises RuntimeError if it answers with other counts."""
        lines = [
            " ||| ".join(("SCORE", *references, texts.predictions[index]))
            for order in orders
            for index, references in zip(order, texts.references, strict=True)
        ]
        answers = np.array([line.split() for line in _ask(lines)], dtype=np.float64)
        if answers.shape != (orders.size, 23):
            raise RuntimeError(f"METEOR answered {orders.size} lines with an array of {answers.shape}")
        return _without_perfect_chunks(answers).reshape(*orders.shape, 23)

    def combine(self, sums: FloatArray) -> FloatArray:
        """`[..., 23] -> [..., 1]`: `MeteorScorer.computeMetrics` of the jar, which gives 0 where nothing matches."""
        lengths = sums[..., 0:2] * _DELTA + sums[..., 2:4] * (1 - 2 * _DELTA)
        matches = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 2, 2)  # [..., kind, content or function, side]
        matched = np.einsum("...kfs,k,f->...s", matches, _WEIGHTS, [_DELTA, 1 - _DELTA])
        hit = np.all(matched > 0, axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = np.moveaxis(matched / lengths, -1, 0)
            mean = 1 / ((1 - _ALPHA) / precision + _ALPHA / recall)
            fragmentation = sums[..., 20] / (sums[..., 21:23].sum(axis=-1) / 2)
            score = mean * (1 - _GAMMA * fragmentation**_BETA)
        return np.where(hit, score, 0.0)[..., None]


@cache
def _server() -> java.LineServer:
    """The process of all scorings: a run scores after each epoch, and starting takes longer than that."""
    return _new_server()


def _new_server() -> java.LineServer:
    from pycocoevalcap.meteor import meteor

    jar = Path(meteor.__file__).parent / meteor.METEOR_JAR
    return java.LineServer("-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm")


def _ask(lines: Sequence[str]) -> list[str]:
    """Each line's answer. Many lines, as of blind scores, are shared with helpers that live for this call."""
    count = max(1, min(os.cpu_count() or 1, _MOST, len(lines) // _SHARE))
    servers = [_server(), *(_new_server() for _ in range(count - 1))]
    ends = np.linspace(0, len(lines), count + 1).astype(int)
    parts = [lines[start:end] for start, end in pairwise(ends)]
    futures = [background(server.ask, part) for server, part in zip(servers, parts, strict=True)]
    try:
        for future in wait(futures, return_when=FIRST_EXCEPTION).done:
            future.result()  # raises the error of one that failed
        return list(chain.from_iterable(future.result() for future in futures))
    finally:
        for helper in servers[1:]:
            helper.close()


def _without_perfect_chunks(rows: FloatArray) -> FloatArray:
    """A sentence that matches whole in one chunk is not fragmented: the jar counts it as 0 chunks before it sums."""
    matched = rows[:, 4:20].reshape(-1, 8, 2).sum(axis=1)  # [samples, side]
    perfect = (matched == rows[:, 0:2]).all(axis=1) & (rows[:, 20] == 1)
    return np.where(perfect[:, None] & (np.arange(23) == 20), 0.0, rows)
