"""That a captioner learns to look, and only by looking: on the phantom, whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rococap.data.phantom import Phantom
from rococap.metrics.facts import Facts
from rococap.models.lora import add_lora
from rococap.models.tiny import tiny
from rococap.models.vit_gpt2 import ViTGPT2
from rococap.types import Example

pytestmark = pytest.mark.slow  # a few minutes in all

TRAIN, TEST = 2000, 200
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


def adapted(features: Tensor, texts: Sequence[str], captioner: ViTGPT2 | None = None, epochs: int = 6) -> ViTGPT2:
    """A captioner after LoRA on these features and captions; the shipped one unless another is given."""
    torch.manual_seed(0)
    captioner = captioner or tiny()
    add_lora(captioner, rank=16, alpha=None, dropout=0.0, target_modules=["c_attn", "c_proj"], train_vision_tower=False)
    trained = [parameter for parameter in captioner.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    steps = epochs * (len(texts) // 20)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    tokens = [torch.tensor(captioner.processor.tokens(text, 128)[0]) for text in texts]
    captioner.train()
    for order in (torch.randperm(len(texts)) for _ in range(epochs)):
        for rows in order.split(20):
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


def chance() -> float:
    """Facts that true captions of other images share with an image's own."""
    return facts(captions("test")[1:] + captions("test")[:1])
