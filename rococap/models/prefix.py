"""A vision tower before a Llama-like language model: the image is a prefix of the caption, through a new projector.

Together they are transformers' LlavaForConditionalGeneration.
"""

from __future__ import annotations

from pprint import pformat
from typing import Any

import torch
from transformers import AutoModel, AutoModelForCausalLM, LlavaConfig, LlavaForConditionalGeneration, PretrainedConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from rococap.models.hub import load, load_config, load_tokenizer, place
from rococap.models.loading import Loading, finish_loading
from rococap.models.prompts import PLACE, require_place, spare_token
from rococap.models.towers import load_tower
from rococap.models.vlm import VLM
from rococap.models.vlm_families import Llava
from rococap.models.vlm_parts import Parts
from rococap.types import UserError

_BASE = """\
import torch
import transformers

{encoder}
decoder = transformers.AutoModelForCausalLM.from_pretrained({decoder!r}, {loading})
config = transformers.LlavaConfig(
    vision_config=encoder.config.to_dict(),
    text_config=decoder.config.to_dict(),
    **{settings},
)
with torch.device("meta"):
    base = transformers.LlavaForConditionalGeneration(config)
base.model.vision_tower, base.model.language_model, base.lm_head = encoder, decoder.model, decoder.lm_head
base.model.multi_modal_projector.to_empty(device="cpu")  # the adapter brings it
"""
# Of a causal language model's config: what it does to logits, and LLaVA would not.
_SCALED = ("final_logit_softcapping", "logit_scale", "logits_scaling")


class Prefix(Llava):
    """A prompt of nothing but the image."""

    cuts = ("before",)
    pools = ("before",)
    tower_targets = ("q_proj", "v_proj", "query", "value")
    default_prompt = f"{PLACE}\n"

    def __init__(self, grid: tuple[int, int]) -> None:
        """Takes the rows and columns of the tower's patches."""
        self._grid = grid

    def grid(self, config: PretrainedConfig, side: int) -> tuple[int, int]:
        return self._grid

    def place(self, token: str) -> tuple[str, str]:
        return PLACE, token


def prefix(
    encoder: str,
    decoder: str,
    prompt: str | None = None,
    visual_tokens: int | None = None,
    loading: Loading = Loading(),
) -> VLM:
    """A vision tower and a language model put together. The projector has random values and is trained in full.

    Args:
        encoder: a ViT, DINOv2 or 3, CLIP, SigLIP or Swin on the hub or in a directory.
        decoder: a Llama, Mistral, Qwen 2 or 3, SmolLM or the like with its tokenizer, on the hub or in a directory.
        prompt: the text before a caption, in which <image> stands once; None: the image alone.
        visual_tokens: tokens of the image that the language model sees, a square number; None: all.

    Raises:
        UserError: one of them is no such checkpoint, or the hub cannot be reached.
    """
    text = load_config(decoder, setting="model.decoder")
    _require_llama_like(text, decoder)
    tokenizer = load_tokenizer(decoder)
    image_id = spare_token(tokenizer, text.vocab_size, decoder)
    if prompt is not None:
        require_place(prompt, {PLACE}, f"model.prompt={prompt!r}")
    vision = load_tower(encoder, loading, visual_tokens=visual_tokens)
    size = vision.settings.size
    seen = vision.module(torch.zeros(1, 3, *size, dtype=vision.module.dtype)).last_hidden_state.shape[1]
    settings: dict[str, Any] = {
        "image_token_index": image_id,
        "image_seq_length": vision.grid[0] * vision.grid[1],
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default" if seen > vision.grid[0] * vision.grid[1] else "full",
        "tie_word_embeddings": bool(text.tie_word_embeddings),
    }
    config = LlavaConfig(vision_config=vision.module.config.to_dict(), text_config=text.to_dict(), **settings)
    parts = Parts(decoder, config, Prefix(vision.grid), prompt, None, "auto", vision.settings, tokenizer)
    parts.check_visual_tokens(visual_tokens)
    keep = ("lm_head",)
    language, new_language = load(AutoModelForCausalLM, decoder, loading, keep)
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    model.model.vision_tower, model.model.language_model = vision.module, language.model
    model.lm_head = language.lm_head
    model.model.multi_modal_projector = LlavaMultiModalProjector(config).to(vision.module.dtype)
    finish_loading(model, loading)
    # Activation checkpointing needs no gradient of inputs, and the hook for it fails on Swin's pair of outputs.
    model.enable_input_require_grads = lambda: None
    new = {f"model.vision_tower.{name}" for name in vision.new}
    new |= {name.replace("model.", "model.language_model.", 1) for name in new_language}
    new |= {name for name, _ in model.named_parameters() if name.startswith("model.multi_modal_projector.")}
    code = _BASE.format(
        encoder=vision.code,
        decoder=place(decoder),
        loading=loading.code(keep),
        settings=pformat(settings, width=100),
    )
    return VLM(model, parts, frozenset(new), code + loading.finishing, visual_tokens)


def _require_llama_like(config: PretrainedConfig, path: str) -> None:
    """Refuse a language model that LLaVA's class does not hold whole: looked at without weights."""
    with torch.device("meta"):
        try:
            whole, core = AutoModelForCausalLM.from_config(config), AutoModel.from_config(config)
        except ValueError:
            whole = core = None
    like = type(getattr(whole, "model", None)) is type(core) and hasattr(core, "embed_tokens")
    if not like or not hasattr(whole, "lm_head") or any(getattr(config, name, None) for name in _SCALED):
        remedy = "model=vit_gpt2_fresh joins it by cross-attention" if config.model_type == "gpt2" else "take another"
        raise UserError(
            f"model.decoder={path} is of type {config.model_type}, which is no Llama-like language model (Llama, "
            f"Mistral, Qwen 2 and 3, SmolLM ...): an image cannot be its prefix here.\nInstead: {remedy}."
        )
