"""Qwen's image-text models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig
from transformers.modeling_outputs import BaseModelOutputWithPooling

from rococap.models.vlm_family import Content, Family, Grid


class QwenVL(Family):
    """Qwen 2-VL, 2.5-VL and 3-VL: patches are cut here, positions are of rows and columns.

    Qwen 3-VL adds the output of some of the tower's layers to the first layers of the language model (DeepStack, Meng
    et al. 2024, arXiv:2406.04334): it lies beside the image's tokens, along the width.
    """

    tower = "model.visual"
    projector = ("model.visual.merger", "model.visual.deepstack_merger_list")
    cuts = ("after",)
    pools = ()
    tower_targets = ("attn.qkv",)
    fixed = False
    squares = True
    code = 'given |= {{"image_grid_thw": seen.image_grid_thw, "mm_token_type_ids": (ids == {image_id}).int()}}\n'

    def side(self, config: PretrainedConfig) -> int:
        return 448  # it takes any; this gives 256 tokens, or 196 where patches are of 16 pixels

    def step(self, config: PretrainedConfig) -> int:
        return int(config.vision_config.patch_size * config.vision_config.spatial_merge_size)

    def content(self, content: Mapping[str, Any], side: int) -> Content:
        size = {"shortest_edge": side * side, "longest_edge": side * side}
        kept = {name: value for name, value in content.items() if name not in {"min_pixels", "max_pixels"}}
        return {**kept, "size": size}

    def place(self, token: str) -> tuple[str, str]:
        whole = f"<|vision_start|>{token}<|vision_end|>"
        return whole, whole

    def see(self, core: Any, pixels: Tensor) -> Tensor:
        vision = core.config.vision_config
        size, merge, frames = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
        batch, channels, height, width = pixels.shape
        rows, columns = height // size, width // size
        cut = pixels.reshape(batch, channels, rows // merge, merge, size, columns // merge, merge, size)
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)  # batch, blocks, places in a block, channel, y, x
        patches = cut.expand(*cut.shape[:6], frames, size, size).reshape(batch * rows * columns, -1)
        grids = torch.tensor([[1, rows, columns]] * batch, device=pixels.device)
        found = core.get_image_features(pixel_values=patches, image_grid_thw=grids, return_dict=True)
        tokens = torch.stack(list(found.pooler_output))
        deep = [torch.stack(list(layer)) for layer in getattr(found, "deepstack_features", None) or ()]
        return torch.cat([tokens, *deep], dim=-1)

    def project(self, core: Any, seen: Tensor) -> Tensor:
        return seen

    def given(self, tokens: Tensor, core: Any) -> Any:
        first, *deep = torch.split(tokens, core.config.get_text_config().hidden_size, dim=-1)
        if not deep:
            return BaseModelOutputWithPooling(pooler_output=list(first))
        from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

        layers = [list(layer) for layer in deep]
        return BaseModelOutputWithDeepstackFeatures(pooler_output=list(first), deepstack_features=layers)

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: Grid | None) -> dict[str, Tensor]:
        assert grid is not None
        merge = core.config.vision_config.spatial_merge_size
        patches = torch.tensor([[1, grid[0] * merge, grid[1] * merge]] * len(ids), device=ids.device)
        return {"image_grid_thw": patches, "mm_token_type_ids": image.int()}


class Qwen35(QwenVL):
    """Qwen 3.5: three of four layers keep a state in place of attention, and adapt where they read the tokens."""

    targets = ("q_proj", "v_proj", "in_proj_qkv")
