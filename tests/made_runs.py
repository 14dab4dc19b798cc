"""Folders of runs with a finished run's config, and captions of any skill, scored by the real metrics."""

import random
import shutil
from functools import cache

from omegaconf import OmegaConf

from rococap.config import build
from rococap.data.phantom.source import Phantom
from rococap.evaluation.split_scores import score_predictions
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import PredictionWriter
from rococap.runs.results import write_results
from rococap.types import Prediction

IMAGES = 60  # of the test split
METRICS = {
    "facts": "rococap.metrics.facts.Facts",  # needs no Java: quick
    "bleu": "rococap.metrics.bleu.Bleu",
    "cider": "rococap.metrics.cider.Cider",
}


def make_run(finished, path, skill, metrics=("facts",), images=IMAGES, **settings):
    """A run's folder; its captions keep the share `skill` of the references' words. `lora__rank=4` sets `lora.rank`."""
    path.mkdir(parents=True)
    for name in ("run.json", "environment.json", "metrics.csv"):
        shutil.copy(finished / name, path / name)
    config = OmegaConf.load(finished / "config.yaml")
    config.data.source.test = images
    config.metrics = {name: {"_target_": METRICS[name]} for name in metrics}
    for key, value in settings.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    OmegaConf.save(config, path / "config.yaml")
    predictions = caption(path, skill, images, luck=str(settings))
    write_results(path / "evaluation_results.csv", score_predictions(build(config.metrics), predictions, "test").rows())
    folder = RunFolder(path)
    folder.note(monitor=f"val/{metrics[0]}", best_score=skill)
    folder.seal("config.yaml", "predictions/test.jsonl", "evaluation_results.csv")
    return folder


def caption(path, skill, images=IMAGES, luck=""):
    """Write a run's test captions."""
    draw = random.Random(f"{skill} {luck}")
    predictions = []
    with PredictionWriter(path / "predictions" / "test.jsonl") as file:
        for example in examples()[:images]:
            words = [word if draw.random() < skill else "of" for word in example.captions[0].split()]
            predictions.append(Prediction(example.id, " ".join(words), example.captions))
            file.write(predictions[-1])
    return predictions


@cache
def examples():
    return Phantom(train=1, valid=1, test=IMAGES, seed=0).examples("test")
