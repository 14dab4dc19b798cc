"""The tiny captioner, a ViT and a GPT-2, and how it learns from simple scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scene_batches import END, TRAIN, Model, Scenes, Tokens, labels_of, pixels_of
from scene_words import COUNTS, SHAPES, SIZES, TONES
from scenes import Picture, draw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTModel,
)


def build_tokenizer(vocabulary: int) -> Tokens:
    """Byte-level BPE: whole words for the scenes and for a list of common radiology words, any text by its bytes."""
    words = (Path(__file__).parent / "tokenizer_words.txt").read_text().split()
    scenes = [draw(TRAIN, index).captions[0] for index in range(1000)]
    common = [text for word in words for text in (f" {word}", f" {word}", word.capitalize())]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=[END], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(scenes + common * 3, trainer)
    fast: Tokens = PreTrainedTokenizerFast
    return fast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END, model_max_length=256)


def build_model(tokenizer: Tokens) -> Model:
    """A ViT of 4 layers and a GPT-2 of 3, 128 wide."""
    vision = ViTConfig(
        hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512, image_size=224,
        patch_size=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    end = tokenizer.eos_token_id
    text = GPT2Config(
        vocab_size=len(tokenizer), n_positions=256, n_embd=128, n_layer=3, n_head=4, add_cross_attention=True,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end,
        pad_token_id=end,
    )  # fmt: skip
    text.is_decoder = True
    model: Model = VisionEncoderDecoderModel(
        encoder=ViTModel(vision, add_pooling_layer=False), decoder=GPT2LMHeadModel(text)
    )
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id = config.bos_token_id = config.eos_token_id = config.pad_token_id = end
    with torch.no_grad():
        embeddings = model.encoder.embeddings
        embeddings.position_embeddings[0, 1:] = 0.5 * sine_cosine(14, 128)
        embeddings.patch_embeddings.projection.weight.copy_(cosines(16, 128))
        # Words that no scene uses keep these values: far enough apart for an adapter to tell them from each other.
        model.decoder.transformer.wte.weight.normal_(0, 0.1)
    return model


def sine_cosine(side: int, width: int) -> Tensor:
    """2-D sine-cosine position embeddings, [side * side, width] (Vaswani et al. 2017, as in MAE for images).

    With ViT's own small random ones the model is still blind to place after 80,000 pictures.
    """
    rates = 1 / 100 ** (torch.arange(width // 4) / (width // 4))
    angles = torch.arange(side)[:, None] * rates
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # [side, width / 2]
    rows = axis[:, None].expand(side, side, -1)
    return torch.cat([rows, rows.transpose(0, 1)], dim=2).reshape(side * side, width)


def cosines(side: int, width: int) -> Tensor:
    """Filters [width, 3, side, side] of a patch embedding: low frequencies of a discrete cosine transform.

    They keep shapes and drop most of the grain, which random filters take thousands of pictures to learn. All are
    orthonormal but the first, the mean, which is weak: else it would drown the others.
    """
    at = torch.arange(side)
    basis = torch.stack([(torch.pi * (at + 0.5) * k / side).cos() for k in range(side)])
    basis = F.normalize(basis, dim=1)
    order = sorted(((u, v) for u in range(side) for v in range(side)), key=lambda uv: (sum(uv), uv))
    planes = torch.stack([basis[u][:, None] * basis[v] for u, v in order])  # [side * side, side, side]
    colours = F.normalize(torch.tensor([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]]), dim=1)[..., None, None]
    counts = (width - 20, 10, 10)  # lightness, red against green, yellow against blue
    filters = [colour * planes[:count, None] for colour, count in zip(colours, counts, strict=True)]
    filters[0][0] *= 0.1
    return torch.cat(filters)


class PatchReader(nn.Module):
    """Says what each patch shows. It teaches the tower where to look in a few thousand pictures, then is thrown away.

    From captions alone the model had learnt no fact but the ground after 54,000 pictures.
    """

    facts: ClassVar = {"shape": SHAPES, "tone": TONES, "size": SIZES, "count": COUNTS}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cover = nn.Linear(width, 64)
        self.readers = nn.ModuleDict({fact: nn.Linear(width, len(values)) for fact, values in self.facts.items()})

    def forward(self, features: Tensor, pictures: Sequence[Picture]) -> Tensor:
        """Mean loss for features [pictures, 1 + 196, width]: the shapes' outlines, and their facts where they are."""
        cover = torch.from_numpy(np.stack([p.cover for p in pictures])).float()
        cover = F.unfold(cover[:, None], 8, stride=8).transpose(1, 2)  # [pictures, 196, 64]
        patches = features[:, 1:]
        loss = 3 * F.binary_cross_entropy_with_logits(self.cover(patches), cover, pos_weight=torch.tensor(3.0))
        owner = torch.from_numpy(np.stack([p.owner for p in pictures])).flatten(1).long()  # [pictures, 196]
        first = torch.tensor([0, *(len(p.scenes) for p in pictures[:-1])]).cumsum(0)[:, None]
        here = owner >= 0
        scene = (owner + first)[here]
        for fact, values in self.facts.items():
            truth = [values.index(said) if (said := getattr(s, fact)) else 0 for p in pictures for s in p.scenes]
            loss = loss + 0.25 * F.cross_entropy(self.readers[fact](patches[here]), torch.tensor(truth)[scene])
        return loss


def train(model: Model, tokenizer: Tokens, images: int, batch: int) -> None:
    """One pass over `images` pictures, each seen once."""
    reader = PatchReader(model.config.encoder.hidden_size)
    pictures_in_turn = Scenes(TRAIN, images, lesson=True)
    loader = DataLoader(pictures_in_turn, batch, num_workers=1, prefetch_factor=8, collate_fn=list)
    keep_unused_words(model, tokenizer)
    parameters = [*model.parameters(), *reader.parameters()]
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=len(loader), pct_start=0.06)
    model.train()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=images)
        for step, pictures in enumerate(loader, 1):
            features = model.encoder(pixels_of(pictures)).last_hidden_state
            each = features.repeat_interleave(torch.tensor([len(p.captions) for p in pictures]), dim=0)
            caption_loss = model(encoder_outputs=(each,), labels=labels_of(pictures, tokenizer)).loss
            patch_loss = reader(features, pictures)
            (caption_loss + patch_loss).backward()
            clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            said = f"captions {caption_loss:.3f}, patches {patch_loss:.3f}"
            progress.update(task, advance=len(pictures), description=said)
            if step % 200 == 0:
                progress.console.print(f"{step * batch:7,} pictures: loss of {said}")


def keep_unused_words(model: Model, tokenizer: Tokens) -> None:
    """Train the embeddings of the scenes' own words only.

    The softmax would push all others the same way, until an adapter could no longer tell them from each other.
    """
    used = torch.zeros(len(tokenizer), 1)
    used[tokenizer.eos_token_id] = 1
    for index in range(3000):
        used[tokenizer(draw(TRAIN, index).captions[0])["input_ids"]] = 1
    model.decoder.transformer.wte.weight.register_hook(lambda gradient: gradient * used)
