"""Captioning as a run does it, from features and in batches, against `generate` from pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rococap.benchmark.limit import synchronize
from rococap.benchmark.work import TOKENIZER, network
from rococap.recipe.precision import device_type


def measure(
    size: str, tokenizer: Path | None, images: int, batch_size: int, tokens: int, rounds: int
) -> dict[str, Any]:
    """A network with random weights, which never ends a caption, writes `tokens` tokens for each image.

    Returns:
        ratio: seconds image by image over rococap's, in the first epoch's validation, when features are known;
        ratio_batches: of plain batches; images_per_second: of rococap.
    """
    device = device_type("auto")
    captioner = network(size, tokenizer or TOKENIZER).to(device).eval()
    pixels = torch.randint(0, 256, (images, 3, *captioner.processor.image_size), dtype=torch.uint8, device=device)
    options = {"max_new_tokens": tokens, "generation_config": captioner.generation, "do_sample": False}

    def plain(part: Tensor) -> None:
        normal = (part.float() - captioner.mean) / captioner.std
        captioner.model.generate(pixel_values=normal, decoder_input_ids=_start(captioner, part), **options)

    def ours(part: Tensor) -> None:
        captioner.generate(part, max_new_tokens=tokens, num_beams=1)

    with torch.inference_mode():
        features = torch.cat([captioner.encode(part) for part in _parts(pixels, batch_size)])
        sides: dict[str, tuple[Callable[[Tensor], None], Sequence[Tensor]]] = {
            "image by image": (plain, _parts(pixels, 1)),
            "plain batches": (plain, _parts(pixels, batch_size)),
            "rococap, features kept": (ours, _parts(features, batch_size)),
        }
        seconds = dict.fromkeys(sides, 0.0)
        for _ in range(rounds):
            for name, (caption, parts) in sides.items():
                begun = time.perf_counter()
                for part in parts:
                    caption(part)
                synchronize(device)
                seconds[name] += time.perf_counter() - begun
    single, batches, kept = seconds.values()
    return {
        "ratio": single / kept,
        "ratio_batches": batches / kept,
        "images_per_second": rounds * images / kept,
        "sides": seconds,
    }


def _start(captioner: Any, part: Tensor) -> Tensor:
    return torch.full((len(part), 1), captioner.start_token_id, device=part.device)


def _parts(tensor: Tensor, size: int) -> list[Tensor]:
    return [tensor[first : first + size] for first in range(0, len(tensor), size)]
