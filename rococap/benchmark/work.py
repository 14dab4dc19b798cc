"""What every side of a benchmark is given: images and captions on disk, a network's shape, a tokenizer."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import (
    GPT2Config,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from rococap.data.phantom.source import Phantom
from rococap.data.rocov2 import RocoV2
from rococap.models.accelerate import accelerate
from rococap.models.lora import add_lora
from rococap.models.processor import HFProcessor, ImageSettings
from rococap.models.tiny import DIRECTORY
from rococap.models.towers import grid_of
from rococap.models.vit_gpt2 import ViTGPT2
from rococap.types import Example, Split, UserError

# Settings of the encoder and the decoder: "base" is ViT-B/16 and GPT-2.
SIZES: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "base": ({}, {}),
    "tiny": (
        {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 768},
        {"n_embd": 192, "n_layer": 4, "n_head": 3},
    ),
}
TOKENIZER = DIRECTORY  # of the captioner that comes with rococap
SIDE = 500  # pixels of a drawn image, about those of a figure in a paper
MEDIAN, SPREAD, LONGEST = 27, 0.65, 127  # tokens of ROCO's captions: log-normal, mean 33, 95th percentile 78


@dataclass(frozen=True)
class FirstImages:
    """The first `count` training images of a folder in ROCOv2's layout, as a source of data."""

    root: Path
    count: int

    def examples(self, split: Split) -> list[Example]:
        """Of `train` only; raises UserError where there are fewer."""
        found = RocoV2(str(self.root)).examples(split)
        if len(found) < self.count:
            raise UserError(f"{self.root} has {len(found):,} training images, but --images is {self.count:,}.")
        return found[: self.count]

    def fingerprint(self) -> str:
        """Of the whole folder."""
        return RocoV2(str(self.root)).fingerprint()


def draw(folder: Path, count: int) -> Path:
    """Write drawn images as JPEG, and captions of as many tokens as real ones, in ROCOv2's layout."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    examples = Phantom(train=count, valid=1, test=1, seed=0).examples("train")
    words = [word for example in examples for word in example.captions[0].split()]
    random = np.random.default_rng(0)
    lengths = np.clip(np.rint(random.lognormal(np.log(MEDIAN), SPREAD, count)), 1, LONGEST).astype(int)
    with (folder / "train_captions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", "Caption"])
        for number, (example, length) in enumerate(zip(examples, lengths, strict=True)):
            name, first = f"drawn_train_{number:06d}", int(random.integers(len(words)))
            image = example.image.open().convert("L").resize((SIDE, SIDE))
            image.save(folder / "train" / f"{name}.jpg", quality=90)
            writer.writerow([name, " ".join(words[(first + i) % len(words)] for i in range(length))])
    return folder


def network(size: str, tokenizer: Path) -> ViTGPT2:
    """A ViT and GPT-2 with random weights, which take as long as any: LoRA of rank 16, all else frozen.

    Args:
        size: one of SIZES.
        tokenizer: a folder with tokenizer.json.
    """
    encoder, decoder = SIZES[size]
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**encoder), GPT2Config(add_cross_attention=True, is_decoder=True, **decoder)
    )
    end = "<|endoftext|>"
    words = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer / "tokenizer.json"), eos_token=end, bos_token=end)
    config.decoder_start_token_id = words.eos_token_id
    model = VisionEncoderDecoderModel(config)
    settings = ImageSettings((224, 224), 2, 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    captioner = ViTGPT2(model, settings, words, frozenset(), "", grid_of(config.encoder, settings.size))
    add_lora(
        captioner, rank=16, alpha=32, dropout=0.05, target_modules=["c_attn", "c_proj"], train_vision_tower=False,
        parts=["decoder"], use_dora=False, use_rslora=False, init="default",
    )  # fmt: skip
    accelerate(captioner.network)
    assert isinstance(captioner.processor, HFProcessor)
    return captioner
