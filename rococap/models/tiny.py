"""The small captioner that comes with rococap."""

from __future__ import annotations

from pathlib import Path

from rococap.models.loading import Loading
from rococap.models.vit_gpt2 import ViTGPT2, published

DIRECTORY = Path(__file__).parents[1] / "assets" / "tiny_captioner"


def tiny(visual_tokens: int | None = None, loading: Loading = Loading()) -> ViTGPT2:
    """ViT and GPT-2 of some 1.4 M parameters, pretrained on pictures of shapes; see its card in assets.

    `visual_tokens`: see `published`.
    """
    return published(str(DIRECTORY), visual_tokens, loading)
