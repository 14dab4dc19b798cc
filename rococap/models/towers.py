"""Vision towers that any decoder can be joined to: ViT, DINOv2 and 3, CLIP, BiomedCLIP, SigLIP, Swin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, CLIPVisionModel, PretrainedConfig, SiglipVisionModel, VisionEncoderDecoderModel

from rococap.models.biomedclip import clip_settings, load_vit, open_clip_settings
from rococap.models.hub import load, load_config, load_image_settings, place
from rococap.models.loading import Loading
from rococap.models.patches import pooled_grid
from rococap.models.processor import ImageSettings
from rococap.types import UserError

CAPTIONER = "vision-encoder-decoder"  # its tower is taken out of it
# By a checkpoint's model_type: the class of transformers that opens its vision tower alone, with which arguments, and
# what of it takes no part in the last layer's output. A pooling layer, which nothing reads, is left out where possible.
_OPENED: dict[str, tuple[Any, dict[str, Any], tuple[str, ...]]] = {
    "vit": (AutoModel, {"add_pooling_layer": False}, ()),
    "dinov2": (AutoModel, {}, ("embeddings.mask_token",)),
    "dinov2_with_registers": (AutoModel, {}, ("embeddings.mask_token",)),
    "dinov3_vit": (AutoModel, {}, ("embeddings.mask_token",)),
    "clip": (CLIPVisionModel, {}, ("post_layernorm",)),
    "clip_vision_model": (CLIPVisionModel, {}, ("post_layernorm",)),
    "siglip": (SiglipVisionModel, {"vision_use_head": False}, ()),
    "siglip_vision_model": (SiglipVisionModel, {"vision_use_head": False}, ()),
    "swin": (AutoModel, {"add_pooling_layer": False}, ()),
    CAPTIONER: (VisionEncoderDecoderModel, {}, ()),
}
TYPES = tuple(_OPENED)
# Those that fit their positions to the image; the others have been given one size.
_ANY_SIZE = {"dinov2", "dinov2_with_registers", "dinov3_vit", "swin"}
_POOLING = """


def pool(encoder, arguments, output):
    lead = output.last_hidden_state.shape[1] - {rows} * {columns}
    grid = output.last_hidden_state[:, lead:].transpose(1, 2).unflatten(2, ({rows}, {columns}))
    grid = torch.nn.functional.adaptive_avg_pool2d(grid, {to}).flatten(2).transpose(1, 2)
    output.last_hidden_state = torch.cat([output.last_hidden_state[:, :lead], grid], dim=1)


model.{place}.register_forward_hook(pool)  # as it was trained: fewer visual tokens
"""
# Linear layers of their attention, for LoRA on the tower.
TARGETS = ("q_proj", "v_proj", "query", "value")


@dataclass(frozen=True)
class Tower:
    """A vision tower with its weights.

    Attributes:
        new: names of its parameters that the checkpoint lacked.
        grid: rows and columns of the patches that it gives; they come last of its positions.
        unused: names of what takes no part in that.
        code: lines of Python that open it as `encoder`, with `torch` and `transformers` imported.
    """

    module: Any
    new: frozenset[str]
    settings: ImageSettings
    grid: tuple[int, int]
    unused: tuple[str, ...]
    code: str


def load_tower(path: str, loading: Loading, setting: str = "model.encoder", visual_tokens: int | None = None) -> Tower:
    """A vision tower from the hub or a directory; it is never rounded.

    Args:
        setting: that named the path, for messages.
        visual_tokens: that its grid is to be averaged to; None: it stays.

    Raises:
        UserError: it is none of `TYPES`, cannot be had, or what it gives cannot be averaged to so many.
    """
    try:
        config = load_config(path, TYPES, setting)
    except UserError:
        if (content := open_clip_settings(path)) is None:
            raise
        return _open_clip_tower(path, Loading(loading.dtype, compute=loading.compute), content)
    auto, arguments, unused = _OPENED[config.model_type]
    settings, vision = load_image_settings(path), _vision(config)
    require_size(vision, settings, path)
    pooled_grid(grid_of(vision, settings.size), visual_tokens)
    plain = Loading(loading.dtype, compute=loading.compute)
    module, new = load(auto, path, plain, **arguments)
    given = "".join(f", {key}={value!r}" for key, value in arguments.items())
    code = f"encoder = transformers.{auto.__name__}.from_pretrained({place(path)!r}, {plain.code(())}{given})"
    if config.model_type == CAPTIONER:
        module, code = module.encoder, f"{code}.encoder"
        new = frozenset(name.removeprefix("encoder.") for name in new if name.startswith("encoder."))
        if hasattr(module, "pooler"):
            module.pooler, code = None, f"{code}\nencoder.pooler = None"
            new = frozenset(name for name in new if not name.startswith("pooler."))
    return Tower(module, new, settings, grid_of(vision, settings.size), unused, code)


def _open_clip_tower(path: str, loading: Loading, content: dict[str, Any]) -> Tower:
    """What open_clip published without a config.json of transformers."""
    module, code = load_vit(path, loading)
    settings = clip_settings(content, module.config.image_size, path)
    return Tower(module, frozenset(), settings, grid_of(module.config, settings.size), (), code)


def _vision(config: PretrainedConfig) -> PretrainedConfig:
    """The tower's own part of a checkpoint's config."""
    return config.encoder if config.model_type == CAPTIONER else getattr(config, "vision_config", config)


def grid_of(config: PretrainedConfig, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of patches of an image of so many pixels."""
    step = _step(config)
    return size[0] // step, size[1] // step


def _step(config: PretrainedConfig) -> int:
    """Pixels of a patch's side; Swin merges patches 2 x 2 between its stages."""
    return int(config.patch_size * 2 ** (len(config.depths) - 1 if hasattr(config, "depths") else 0))


def require_size(config: PretrainedConfig, settings: ImageSettings, path: str) -> None:
    """Refuse images of a size that a tower cannot take whole: BLIP's would take the first positions in silence.

    Raises:
        UserError: preprocessor_config.json names a size that is no multiple of the patches', or not the one that a
            tower has positions for.
    """
    said = f"{path}: its preprocessor_config.json makes images of {settings.size[0]} x {settings.size[1]} pixels"
    if config.model_type in _ANY_SIZE:
        patch = _step(config)
        if settings.size[0] % patch or settings.size[1] % patch:
            raise UserError(f"{said}, which are no multiple of its patches' {patch}.\nSet size there to one.")
        return
    side = config.image_size
    if settings.size != (positions := (side, side) if isinstance(side, int) else tuple(side)):
        raise UserError(
            f"{said}, its vision tower has positions for {positions[0]} x {positions[1]}.\n"
            "Set size there to what config.json says."
        )


def pooling_code(place: str, grid: tuple[int, int], to: tuple[int, int]) -> str:
    """Lines of Python that make the vision tower at `model.{place}` average its patches to a smaller grid."""
    return _POOLING.format(place=place, rows=grid[0], columns=grid[1], to=to)


def plain_config(config: PretrainedConfig) -> dict[str, Any]:
    """All settings in plain values."""
    values: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return values


def last_hidden(tower: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """The last layer's output of a tower, [batch, positions, width]."""
    hidden: torch.Tensor = tower(pixel_values=pixels).last_hidden_state
    return hidden
