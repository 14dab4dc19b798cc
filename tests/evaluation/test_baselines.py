"""What a score is held against is what it says, and is computed once."""

from dataclasses import replace

import hydra
import numpy as np
import pytest
import torch
from commands import ROOT
from omegaconf import OmegaConf

from rococap.config import register
from rococap.data.kept.listing import caches, clear
from rococap.data.phantom.source import Phantom
from rococap.evaluation import baselines
from rococap.metrics import signature
from rococap.recipe.parts import build_captioner, build_data
from rococap.recipe.recipe import Recipe
from rococap.runs.predictions import read_predictions


class Leaked:
    """A dataset whose test images are its training images; the caption of the first is the most common one."""

    def examples(self, split):
        first, *rest = Phantom(train=24, valid=1, test=1, seed=0).examples("train")
        return [first, *rest[:-1], type(first)("again", rest[-1].image, first.captions)]

    def fingerprint(self):
        return "leaked"


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    register()
    words = ["data=phantom", "model=tiny", "metrics=[facts,rouge_l]", "decoding.max_new_tokens=12"]
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return hydra.compose("train", words)


def recipe_of(cfg):
    return replace(Recipe.of(cfg), build_source=Leaked)


def rows(cfg):
    recipe = recipe_of(cfg)
    captioner = build_captioner(recipe)
    return baselines.baseline_rows(captioner, build_data(recipe, captioner), "test", recipe)


def test_each_system_says_what_it_stands_for_and_is_computed_once(cfg, tmp_path, monkeypatch):
    cfg.data.fraction = 1.0
    first = rows(cfg)
    assert {(row.system, row.metric) for row in first} == {
        (system, metric) for system in ("base", "common", "nearest", "prior") for metric in ("facts", "rouge_l")
    }
    value = {(row.system, row.metric): row.value for row in first}
    assert value["nearest", "facts"] == value["nearest", "rouge_l"] == 1  # each image is its own nearest
    [folder] = (tmp_path / "cache/baselines").glob("*/test")
    examples = Leaked().examples("test")
    assert {p.prediction for p in read_predictions(folder / "common.jsonl")} == {examples[0].captions[0]}
    base = read_predictions(folder / "base.jsonl")
    assert [p.id for p in base] == [e.id for e in examples] and len({p.prediction for p in base}) > 1

    recipe = recipe_of(cfg)
    adapted = build_captioner(recipe)
    monkeypatch.setattr(baselines, "build_captioner", None)  # calling it again would fail
    monkeypatch.setattr(baselines._Known, "_features", None)
    assert baselines.baseline_rows(adapted, build_data(recipe, adapted), "test", recipe) == first


def test_another_share_of_the_data_or_decoding_is_computed_anew(cfg, tmp_path):
    for change in ({}, {"data.fraction": 0.5}, {"decoding.max_new_tokens": 3}):
        for key, setting in change.items():
            OmegaConf.update(cfg, key, setting)
        rows(cfg)
    assert len(list((tmp_path / "cache/baselines").glob("*"))) == 3


def test_runs_whose_towers_train_share_what_is_of_their_base_and_it_can_be_cleared(cfg):
    cfg.lora.train_vision_tower = True
    recipe = recipe_of(cfg)
    captioner = build_captioner(recipe)
    data = build_data(recipe, captioner)
    first = baselines.baseline_rows(captioner, data, "test", recipe)
    assert {row.system for row in first} == {"base", "common", "nearest"}
    with torch.no_grad():
        for weight in captioner.model.encoder.parameters():
            weight.mul_(1.1)
    assert baselines.baseline_rows(captioner, data, "test", recipe) == first
    [kept] = [cache for cache in caches() if cache.kind == "baselines"]
    assert kept.size > 0 and clear(kept)
    assert [cache.kind for cache in caches()] == ["images", "doctor"]


def test_a_newer_scorer_scores_the_kept_captions_anew(cfg, tmp_path, monkeypatch):
    """Kept scores of an older one would stop a run that has trained to its end: two ways to score in one table."""
    first = rows(cfg)
    [folder] = (tmp_path / "cache/baselines").glob("*/test")
    captions = {file: file.stat().st_mtime_ns for file in folder.glob("*.jsonl")}
    monkeypatch.setattr(signature, "REVISION", signature.REVISION + 1)
    again = rows(cfg)
    assert [row.value for row in again] == [row.value for row in first]
    assert all(f"rococap:{signature.REVISION}" in row.signature for row in again)
    assert len(list(folder.glob("scores-*.csv"))) == 2
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.jsonl")} == captions and len(captions) == 3


class Apart(Leaked):
    """A dataset whose test images are others."""

    def examples(self, split):
        return super().examples(split) if split == "train" else Phantom(1, 1, 5, seed=1).examples("test")


def test_the_prior_is_of_the_mean_of_all_training_images(cfg, tmp_path):
    recipe = replace(Recipe.of(cfg), build_source=Apart)
    captioner = build_captioner(recipe)
    data = build_data(recipe, captioner)
    found = baselines.baseline_rows(captioner, data, "test", recipe)
    assert {row.system for row in found} == {"base", "common", "nearest", "prior"}
    dataset = data.dataset("train")
    kept = dataset[list(range(len(dataset.ids)))].features.double()
    [file] = (tmp_path / "cache/baselines").glob("*/test/mean_feature.npy")
    mean = np.load(file)
    assert len(kept) > 1 and mean.shape == kept.shape[1:]
    np.testing.assert_allclose(mean, kept.mean(dim=0).numpy(), rtol=1e-5, atol=1e-6)
    assert not np.allclose(mean, kept[0].numpy(), atol=1e-2)


def test_nothing_is_scored_without_metrics(cfg):
    cfg.metrics = {}
    assert rows(cfg) == []
