"""A detector learns what it is shown: shown what is not so, it falls back to what is best for all images."""

import random
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from commands import DATA

from rococap.data.datamodule import CaptionData
from rococap.data.kept.features import Encoder
from rococap.data.phantom.source import Phantom
from rococap.evaluation.concept_systems import best_constant
from rococap.metrics.concepts import Concepts
from rococap.metrics.measure import score
from rococap.models.lora import train_in_full
from rococap.models.tiny import tiny_detector
from rococap.recipe.labels import labels_of
from rococap.training.module import CaptionModule
from rococap.training.optim import linear
from rococap.types import concepts_of


class Shuffled(Phantom):
    """Images with the concepts of other images, but for those that are tested on."""

    def examples(self, split):
        found = super().examples(split)
        if split == "test":
            return found
        concepts = [example.concepts for example in found]
        random.Random(0).shuffle(concepts)
        return [replace(example, concepts=of_other) for example, of_other in zip(found, concepts, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "least", "most"), [(Phantom, 0.15, 1), (Shuffled, -0.02, 0.02)])
def test_it_beats_the_best_constant_set_only_by_what_is_so(tmp_path, monkeypatch, kind, least, most):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path))
    source = kind(train=1200, valid=150, test=200, seed=0)
    torch.manual_seed(0)
    model = tiny_detector(labels=labels_of(source, 1), visual_tokens=49)
    train_in_full(model, train_vision_tower=False)

    @torch.no_grad()
    def encode(pixels):
        return model.eval().encode(pixels)

    shape = tuple(encode(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).shape[1:])
    encoder = Encoder(model.tower_digest(), model.encoding, "fp32", shape, np.float16, encode)
    settings = DATA | {"length_pool": 1}
    data = CaptionData(source, model.processor, batch_size=32, encoder=encoder, answer=model.answer, **settings)
    module = CaptionModule(
        model,
        lambda groups: torch.optim.AdamW(groups, lr=4e-3),
        lambda o, n: linear(o, n, warmup=0.05),
        None,
        {},
        seed=0,
    )
    trainer = pl.Trainer(
        max_epochs=8, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, num_sanity_val_steps=0,
    )  # fmt: skip
    model.train()
    trainer.fit(module, datamodule=data)
    model.eval()
    tested, judged = data.examples("test"), [concepts_of(example) for example in data.examples("valid")]
    with torch.no_grad():
        said = [each.text for b in data.loader("test", 50) for each in model.predict(b.features.float(), {})]
    constant = [best_constant(judged)] * len(tested)
    own, base = (
        score({"c": Concepts()}, texts, [()] * len(tested), [e.concepts for e in tested]).corpus["concept_f1"]
        for texts in (said, constant)
    )
    assert least < own - base < most
