"""The small models that come with rococap: one vision tower, decoders of three families, and a detector's head."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rococap.models import blip
from rococap.models.detector import Detector, detector
from rococap.models.label_loss import Loss
from rococap.models.loading import Loading
from rococap.models.thresholds import Threshold
from rococap.models.vit_gpt2 import ViTGPT2, published
from rococap.models.vlm import VLM, vlm
from rococap.types import Labels

ASSETS = Path(__file__).parents[1] / "assets"
DIRECTORY = ASSETS / "tiny_captioner"


def tiny(visual_tokens: int | None = None, loading: Loading = Loading()) -> ViTGPT2:
    """ViT and GPT-2 of some 1.9 M parameters, pretrained on pictures of shapes; see its card in assets.

    `visual_tokens`: see `published`.
    """
    return published(str(DIRECTORY), visual_tokens, loading)


def tiny_blip(visual_tokens: int | None = None, loading: Loading = Loading()) -> blip.Blip:
    """The same tower and vocabulary in BLIP's format, with a BERT decoder of its own; see its card in assets.

    `visual_tokens`: see `rococap.models.blip.published`.
    """
    captioner = blip.published(str(ASSETS / "tiny_blip"), visual_tokens=visual_tokens, loading=loading)
    # A narrow decoder has to change everywhere; LoRA on all of it costs little.
    captioner.targets = {**captioner.targets, "decoder": ("query", "key", "value", "dense")}
    return captioner


def tiny_vlm(visual_tokens: int | None = None, loading: Loading = Loading()) -> VLM:
    """The same tower and vocabulary in InternVL's format, with a Llama as decoder; see its card in assets.

    `visual_tokens`: at most 49, which is what null means here.
    """
    captioner = vlm(str(ASSETS / "tiny_vlm"), prompt="<image>\n", visual_tokens=visual_tokens, loading=loading)
    everywhere = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    captioner.targets = {**captioner.targets, "decoder": everywhere}
    return captioner


def tiny_detector(
    pooling: Literal["mean", "attention", "cls"] = "attention",
    loss: Loss = "bce",
    heads: int = 4,
    visual_tokens: int | None = None,
    labels: Labels | None = None,
    threshold: Threshold = "global",
    loading: Loading = Loading(),
) -> Detector:
    """A detector of concepts around the tower of `tiny`; see `rococap.models.detector.detector`."""
    return detector(str(DIRECTORY), pooling, loss, heads, visual_tokens, labels, threshold, loading)
