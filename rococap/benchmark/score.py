"""Scoring by BLEU, METEOR, ROUGE-L and CIDEr against the two parts of it that are Java, one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rococap.data.phantom.source import Phantom
from rococap.metrics import measure as scoring
from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.meteor import Meteor
from rococap.metrics.rouge_l import RougeL


def measure(captions: int, rounds: int) -> dict[str, Any]:
    """Drawn images' captions, each against that of another image; Java's start is before the clock.

    Returns:
        ratio: seconds of the PTB tokenizer and METEOR alone over those of all metrics; captions_per_second: of all.
    """
    texts = [example.captions for example in Phantom(train=captions, valid=1, test=1, seed=0).examples("train")]
    predictions = [texts[index][0] for index in np.random.default_rng(0).permutation(captions)]
    meteor = {"meteor": Meteor()}
    every = {"bleu": Bleu(), **meteor, "rouge_l": RougeL(), "cider": Cider()}
    scoring.score(every, predictions[:2], texts[:2])
    sides: dict[str, Mapping[str, Any]] = {"PTB and METEOR alone": meteor, "all metrics": every}
    seconds = dict.fromkeys(sides, 0.0)
    for _ in range(rounds):
        for name, metrics in sides.items():
            begun = time.perf_counter()
            scoring.score(metrics, predictions, texts)
            seconds[name] += time.perf_counter() - begun
    java, whole = seconds.values()
    return {"ratio": java / whole, "captions_per_second": rounds * captions / whole, "sides": seconds}
