"""That a captioner learns to look, and only by looking: on the phantom, whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch
from commands import LORA
from torch import Tensor, nn

from rococap.data.phantom.source import Phantom
from rococap.data.phantom.vocabulary import WORDS
from rococap.metrics.facts import Facts, facts_said
from rococap.models.lora import add_lora
from rococap.models.tiny import tiny
from rococap.models.vit_gpt2 import ViTGPT2
from rococap.types import Example

pytestmark = pytest.mark.slow  # a few minutes in all

TRAIN, TEST = 1000, 200
PHANTOM = Phantom(train=TRAIN, valid=1, test=TEST, seed=0)


@cache
def seen() -> tuple[Tensor, Tensor]:
    """What the frozen tower makes of the training and the test images, float [images, positions, width]."""
    captioner = tiny().eval()

    def encode(examples: Sequence[Example]) -> Tensor:
        pixels = [captioner.processor.pixels(example.image.open().convert("RGB")) for example in examples]
        batches = torch.from_numpy(np.stack(pixels)).split(50)
        return torch.cat([captioner.encode(batch) for batch in batches])

    with torch.no_grad():
        return encode(PHANTOM.examples("train")), encode(PHANTOM.examples("test"))


def captions(split: str) -> list[str]:
    return [example.captions[0] for example in PHANTOM.examples(split)]


def adapted(
    features: Tensor,
    texts: Sequence[str],
    captioner: ViTGPT2 | None = None,
    targets: Sequence[str] = ("c_attn", "c_proj"),
    epochs: int = 6,
) -> ViTGPT2:
    """A captioner after LoRA on these features and captions; the shipped one unless another is given."""
    torch.manual_seed(0)
    captioner = captioner or tiny()
    add_lora(captioner, **(LORA | {"rank": 16, "target_modules": list(targets)}))
    trained = [parameter for parameter in captioner.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=8e-3)
    steps = epochs * -(-len(texts) // 16)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    tokens = [torch.tensor(captioner.processor.tokens(text, 128)[0]) for text in texts]
    captioner.train()
    for order in (torch.randperm(len(texts)) for _ in range(epochs)):
        for rows in order.split(16):
            ids = nn.utils.rnn.pad_sequence([tokens[row] for row in rows], batch_first=True, padding_value=-1)
            loss, count = captioner(features[rows], ids.clamp(min=0), (ids >= 0).long())
            (loss / count).backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return captioner.eval()


def said(captioner: ViTGPT2, features: Tensor) -> list[str]:
    with torch.no_grad():
        return captioner.generate(features, max_new_tokens=64, num_beams=1)


def facts(predictions: Sequence[str]) -> float:
    return Facts()(predictions, [[reference] for reference in captions("test")]).corpus["facts"]


def best_blind_guess() -> float:
    """What the best caption could score if it were the same for all images: each fact's most frequent value."""
    truths = [facts_said(caption) for caption in captions("test")]
    values = {fact: Counter(truth[fact] for truth in truths if fact in truth) for fact in WORDS}
    return sum(counts.most_common(1)[0][1] for counts in values.values()) / sum(map(len, truths))


@pytest.fixture(scope="module")
def learner() -> ViTGPT2:
    return adapted(seen()[0], captions("train"))


def test_facts_rise_by_looking(learner: ViTGPT2):
    predictions = said(learner, seen()[1])
    before, after = facts(said(tiny().eval(), seen()[1])), facts(predictions)
    assert before < best_blind_guess() < 0.5
    assert after > 0.65, after
    assert facts(predictions[1:] + predictions[:1]) < best_blind_guess(), "blind: the captions of other images"


def test_captions_end(learner: ViTGPT2):
    predictions = said(learner, seen()[1])
    lengths = [len(learner.processor.tokens(caption, 128)[0]) for caption in predictions]
    true = [len(learner.processor.tokens(caption, 128)[0]) for caption in captions("test")]
    assert max(lengths) < 64 and abs(np.mean(lengths) - np.mean(true)) < 4


def test_captions_of_other_images_teach_nothing():
    texts = captions("train")
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = adapted(seen()[0], [texts[index] for index in order])
    assert facts(said(shuffled, seen()[1])) < best_blind_guess() + 0.03


def test_mean_features_teach_nothing(learner: ViTGPT2):
    mean = seen()[0].mean(dim=0, keepdim=True)
    train, test = (mean.expand_as(part).contiguous() for part in seen())
    blind = adapted(train, captions("train"))
    assert facts(said(blind, test)) < best_blind_guess() + 0.03
    assert facts(said(learner, test)) < best_blind_guess() + 0.03


def test_random_cross_attention_must_not_be_frozen():
    """Why the audit refuses it: LoRA beside a frozen random cross-attention learns the wording, but not to look."""

    def reborn() -> ViTGPT2:
        captioner = tiny()
        torch.manual_seed(0)
        for name, parameter in captioner.network.named_parameters():
            if "crossattention" in name and parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)
        return captioner

    frozen, trained = reborn(), reborn()
    trained.new = frozenset(name for name, _ in trained.network.named_parameters() if "crossattention" in name)
    scores = [
        facts(said(adapted(seen()[0], captions("train"), captioner, ["attn.c_attn", "attn.c_proj"]), seen()[1]))
        for captioner in (frozen, trained)
    ]
    assert scores[0] < best_blind_guess() + 0.05, scores
    assert scores[1] > scores[0] + 0.1, scores
