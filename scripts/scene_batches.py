"""Scenes as models take them: pixels and labels, and what greedy captions get right of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from scene_words import facts_said
from scenes import Picture, draw
from torch import Tensor
from torch.utils.data import Dataset

Model = Any  # a captioner of transformers, whose annotations call each of its parts "Tensor | Module"
Tokens = Any  # a PreTrainedTokenizerFast, which is not annotated
END = "<|endoftext|>"
TRAIN, TEST = 1, 2  # seeds of pictures
IMAGE = ("<img>", "<IMG_CONTEXT>", "</img>")  # InternVL's tokens: before an image, of each of its positions, after it


class Scenes(Dataset[Picture]):
    """`count` pictures, drawn when asked for.

    In a lesson the first fifth grows harder, and crowds of five scenes give way to single ones: a crowd teaches five
    places at the price of one picture. Otherwise all are hard and single.
    """

    def __init__(self, seed: int, count: int, lesson: bool) -> None:
        self.seed, self.count, self.lesson = seed, count, lesson

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Picture:
        if not self.lesson:
            return draw(self.seed, index)
        done = index / self.count
        crowded = np.random.default_rng((self.seed, index, 1)).random() > done
        return draw(self.seed, index, hardness=min(5 * done, 1.0), crowd=5 if crowded else 1)


def pixels_of(pictures: Sequence[Picture]) -> Tensor:
    """Float [pictures, 3, 224, 224], normalised as `preprocessor_config.json` says."""
    return torch.from_numpy(np.stack([p.pixels for p in pictures])).permute(0, 3, 1, 2).float() / 127.5 - 1


def labels_of(pictures: Sequence[Picture], tokenizer: Tokens) -> Tensor:
    """All captions with their end token, int64 [captions, tokens], -100 on padding."""
    text = tokenizer([caption + END for p in pictures for caption in p.captions], padding=True, return_tensors="pt")
    # The end token is the padding token too: the mask says which are real, so that the end is learnt.
    labels: Tensor = text["input_ids"].masked_fill(text["attention_mask"] == 0, -100)
    return labels


def prompt(positions: int) -> str:
    """What stands before a caption where the image is part of the text."""
    return f"{IMAGE[0]}{IMAGE[1] * positions}{IMAGE[2]}\n"


@torch.no_grad()
def greedy(model: Model, tokenizer: Tokens, pixels: Tensor) -> Tensor:
    """Captions as tokens, int64 [pictures, tokens], without what stands before them."""
    given, before = {}, 1
    if hasattr(model.config, "image_seq_length"):
        text = tokenizer(prompt(model.config.image_seq_length), return_tensors="pt")
        given = {name: text[name].expand(len(pixels), -1) for name in ("input_ids", "attention_mask")}
        before = given["input_ids"].shape[1]
    ids: Tensor = model.generate(pixel_values=pixels, **given, max_new_tokens=48, do_sample=False)
    return ids[:, before:]


def accuracy(model: Model, tokenizer: Tokens, images: int) -> dict[str, float]:
    """The share of pictures for which the greedy caption states a fact rightly, for each fact; and that it ends."""
    model.eval()
    right: dict[str, list[bool]] = {}
    rows = Scenes(TEST, images, lesson=False)
    for start in range(0, images, 50):
        pictures = [rows[i] for i in range(start, min(start + 50, images))]
        ids = greedy(model, tokenizer, pixels_of(pictures))
        ends = (ids == tokenizer.eos_token_id).any(dim=1)
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        for text, picture, end in zip(texts, pictures, ends, strict=True):
            said = facts_said(text)
            for fact, value in asdict(picture.scenes[0]).items():
                if value:
                    right.setdefault(fact, []).append(said.get(fact) == value)
            right.setdefault("ends", []).append(bool(end))
    return {fact: float(np.mean(hits)) for fact, hits in right.items()}
