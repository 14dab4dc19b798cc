"""Pretrain a small captioner on simple scenes and write it as a Hugging Face directory.

python scripts/pretrain_tiny.py --out rococap/assets/tiny_captioner
python scripts/pretrain_tiny.py --family blip --out rococap/assets/tiny_blip
python scripts/pretrain_tiny.py --family vlm --out rococap/assets/tiny_vlm
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from scene_batches import Model, Tokens, accuracy
from teach_twins import encoded, teach
from tiny_twins import TWINS
from tiny_vit_gpt2 import build_model, build_tokenizer, train
from transformers import AutoTokenizer, VisionEncoderDecoderModel, ViTImageProcessor

SHIPPED = Path(__file__).parents[1] / "rococap" / "assets" / "tiny_captioner"


def whole(options: argparse.Namespace) -> tuple[Model, Tokens]:
    """The tiny captioner, from nothing."""
    tokenizer = build_tokenizer(1536)
    model = build_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer):,} tokens")
    train(model, tokenizer, options.images, options.batch)
    return model, tokenizer


def twin(options: argparse.Namespace) -> tuple[Model, Tokens]:
    """A twin, around the tower and the vocabulary of the tiny captioner that is there."""
    shipped = VisionEncoderDecoderModel.from_pretrained(options.captioner, dtype=torch.float32).eval()
    made = TWINS[options.family](shipped, AutoTokenizer.from_pretrained(options.captioner))
    print(f"{sum(p.numel() for p in made.model.parameters()):,} parameters, {len(made.tokens):,} tokens")
    if options.begin is not None:
        made.model.load_state_dict(type(made.model).from_pretrained(options.begin, dtype=torch.float32).state_dict())
    scenes = encoded(shipped.encoder, options.images, options.features)
    teach(made, scenes.alone() if options.alone else scenes, options.epochs, options.batch, options.lr)
    return made.model, made.tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--family", choices=("vit_gpt2", *TWINS), default="vit_gpt2", help="(default: %(default)s)")
    parser.add_argument("--images", type=int, help="pictures (default: 60,000, each seen once; 16,000 for a twin)")
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--batch", type=int, help="(default: 16 pictures; 64 captions for a twin)")
    parser.add_argument("--seed", type=int, default=0, help="of the starting weights")
    parser.add_argument("--threads", type=int, default=2)
    twins = parser.add_argument_group("twins")
    twins.add_argument("--captioner", type=Path, default=SHIPPED, help="whose tower and words they take")
    twins.add_argument("--begin", type=Path, help="directory of such a twin, to go on from its weights")
    twins.add_argument("--alone", action="store_true", help="leave out crowds: in single scenes place is to be seen")
    twins.add_argument("--features", type=Path, help="file that keeps what the tower makes of the pictures")
    twins.add_argument("--epochs", type=int, default=2, help="(default: %(default)s)")
    twins.add_argument("--lr", type=float, default=2e-3, help="(default: %(default)s)")
    options = parser.parse_args()
    first = options.family == "vit_gpt2"
    options.images = options.images or (60_000 if first else 16_000)
    options.batch = options.batch or (16 if first else 64)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model, tokenizer = (whole if first else twin)(options)
    model.to(torch.float16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    ViTImageProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(options.out)
    for fact, share in accuracy(model.to(torch.float32), tokenizer, options.test_images).items():
        print(f"{fact:8} {share:.3f}")


if __name__ == "__main__":
    main()
