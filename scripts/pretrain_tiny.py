"""Pretrain the tiny captioner on simple scenes and write it as a Hugging Face directory.

python scripts/pretrain_tiny.py --out rococap/assets/tiny_captioner
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scene_words import COUNTS, SHAPES, SIZES, TONES, facts_said
from scenes import Picture, draw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

Model = Any  # a VisionEncoderDecoderModel, whose annotations call each of its parts "Tensor | Module"
Tokens = Any  # a PreTrainedTokenizerFast, which is not annotated
END = "<|endoftext|>"
TRAIN, TEST = 1, 2  # seeds of pictures


class Scenes(Dataset[Picture]):
    """`count` pictures, drawn when asked for; where `ramp` is given, each a little harder until picture `ramp`."""

    def __init__(self, seed: int, count: int, ramp: int = 0) -> None:
        self.seed, self.count, self.ramp = seed, count, ramp

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Picture:
        return draw(self.seed, index, min(index / self.ramp, 1.0) if self.ramp else 1.0)


def build_tokenizer(vocabulary: int) -> Tokens:
    """Byte-level BPE: whole words for the scenes and for a list of common radiology words, any text by its bytes."""
    words = (Path(__file__).parent / "tokenizer_words.txt").read_text().split()
    scenes = [draw(TRAIN, index).caption for index in range(1000)]
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
        positions = model.encoder.embeddings.position_embeddings
        positions[0, 1:] = 0.5 * sine_cosine(14, 128)
        # Words that no scene uses keep these values: they must lie far enough apart for an adapter to tell them apart.
        model.decoder.transformer.wte.weight.normal_(0, 0.05)
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


def pixels_of(pictures: Sequence[Picture]) -> Tensor:
    """Float [pictures, 3, 224, 224], normalised as `preprocessor_config.json` says."""
    return torch.from_numpy(np.stack([p.pixels for p in pictures])).permute(0, 3, 1, 2).float() / 127.5 - 1


class PatchReader(nn.Module):
    """Says what each patch shows. It teaches the tower where to look in a few thousand pictures, then is thrown away.

    From captions alone the model had learnt no fact but the ground after 54,000 pictures.
    """

    facts: ClassVar = {"shape": SHAPES, "tone": TONES, "size": SIZES, "count": COUNTS}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.covered = nn.Linear(width, 1)
        self.readers = nn.ModuleDict({fact: nn.Linear(width, len(values)) for fact, values in self.facts.items()})

    def forward(self, features: Tensor, pictures: Sequence[Picture]) -> Tensor:
        """Mean loss for features [pictures, 1 + 196, width]: covered or not, and the facts where covered."""
        covered = torch.from_numpy(np.stack([p.patches for p in pictures])).flatten(1).float()  # [pictures, 196]
        patches = features[:, 1:]
        loss = F.binary_cross_entropy_with_logits(self.covered(patches)[..., 0], covered, pos_weight=torch.tensor(5.0))
        row, _ = here = covered.nonzero(as_tuple=True)
        for fact, values in self.facts.items():
            truth = [values.index(said) if (said := getattr(p.scene, fact)) else 0 for p in pictures]
            loss = loss + 0.25 * F.cross_entropy(self.readers[fact](patches[here]), torch.tensor(truth)[row])
        return loss


def train(model: Model, tokenizer: Tokens, images: int, batch: int) -> None:
    """One pass over `images` pictures, each seen once, the first fifth of them easier than the rest."""
    reader = PatchReader(model.config.encoder.hidden_size)
    loader = DataLoader(
        Scenes(TRAIN, images, ramp=images // 5), batch, num_workers=1, prefetch_factor=8, collate_fn=list
    )
    parameters = [*model.parameters(), *reader.parameters()]
    decayed, others = [p for p in parameters if p.ndim == 2], [p for p in parameters if p.ndim != 2]
    groups = [{"params": decayed, "weight_decay": 0.03}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=len(loader), pct_start=0.06)
    model.train()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=images)
        for step, pictures in enumerate(loader, 1):
            features = model.encoder(pixels_of(pictures)).last_hidden_state
            caption_loss = model(encoder_outputs=(features,), labels=labels_of(pictures, tokenizer)).loss
            patch_loss = reader(features, pictures)
            (caption_loss + patch_loss).backward()
            clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            said = f"captions {caption_loss:.3f}, patches {patch_loss:.3f}"
            progress.update(task, advance=len(pictures), description=said)
            if step % 100 == 0:
                progress.console.print(f"{step * batch:7,} pictures: loss of {said}")


def labels_of(pictures: Sequence[Picture], tokenizer: Tokens) -> Tensor:
    """Captions with their end token, int64 [pictures, tokens], -100 on padding."""
    text = tokenizer([p.caption + END for p in pictures], padding=True, return_tensors="pt")
    # The end token is the padding token too: the mask says which are real, so that the end is learnt.
    labels: Tensor = text["input_ids"].masked_fill(text["attention_mask"] == 0, -100)
    return labels


@torch.no_grad()
def accuracy(model: Model, tokenizer: Tokens, images: int) -> dict[str, float]:
    """The share of pictures for which the greedy caption states a fact rightly, for each fact; and that it ends."""
    model.eval()
    right: dict[str, list[bool]] = {}
    rows = Scenes(TEST, images)
    for start in range(0, images, 50):
        pictures = [rows[i] for i in range(start, min(start + 50, images))]
        ids = model.generate(pixel_values=pixels_of(pictures), max_new_tokens=48, do_sample=False)
        ends = (ids[:, 1:] == tokenizer.eos_token_id).any(dim=1)
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        for text, picture, end in zip(texts, pictures, ends, strict=True):
            said = facts_said(text)
            for fact, value in asdict(picture.scene).items():
                if value:
                    right.setdefault(fact, []).append(said.get(fact) == value)
            right.setdefault("ends", []).append(bool(end))
    return {fact: float(np.mean(hits)) for fact, hits in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--images", type=int, default=64_000, help="pictures, each seen once (default: %(default)s)")
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0, help="of the starting weights")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = build_tokenizer(1536)
    model = build_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer):,} tokens")
    train(model, tokenizer, options.images, options.batch)
    model.to(torch.float16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    ViTImageProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(options.out)
    for fact, share in accuracy(model.to(torch.float32), tokenizer, options.test_images).items():
        print(f"{fact:8} {share:.3f}")


if __name__ == "__main__":
    main()
