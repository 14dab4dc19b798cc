"""The families of transformers' image-text models that are listed, and what each has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from rococap.models.vlm_family import Content, Family, Grid
from rococap.models.vlm_qwen import Qwen35, QwenVL


class Llava(Family):
    """LLaVA 1.5 (Liu et al. 2023, arXiv:2310.03744): a layer before the tower's last, mostly without class token."""

    listed = True

    def see(self, core: Any, pixels: Tensor) -> Tensor:
        layers = core.config.vision_feature_layer
        found = core.vision_tower(pixel_values=pixels, output_hidden_states=True).hidden_states
        chosen = [found[layer] for layer in ([layers] if isinstance(layers, int) else layers)]
        seen = torch.cat(chosen, dim=-1)
        return seen[:, 1:] if core.config.vision_feature_select_strategy == "default" else seen


class PaliGemma(Family):
    """PaliGemma 1 and 2 (Beyer et al. 2024, arXiv:2407.07726): the prompt is read in both directions."""

    default_prompt = "<image><bos>caption en\n"
    begins = False  # its begin token stands behind the image
    code = 'given["token_type_ids"] = torch.zeros_like(ids)  # the prompt is read in both directions\n'

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: Grid | None) -> dict[str, Tensor]:
        kinds = torch.zeros_like(ids)
        kinds[:, start:] = 1
        return {"token_type_ids": kinds}


class Gemma3(Family):
    """Gemma 3 and MedGemma: the projector averages 4096 patches to 256 tokens, which see one another."""

    cuts = ("after", "before")
    pools = ("after",)
    code = 'given["token_type_ids"] = (ids == {image_id}).long()  # the image is read in both directions\n'

    def grid(self, config: PretrainedConfig, side: int) -> Grid | None:
        rows = int(config.mm_tokens_per_image**0.5)
        return rows, rows

    def content(self, content: Mapping[str, Any], side: int) -> Content:
        return {**super().content(content, side), "do_pan_and_scan": False}

    def place(self, token: str) -> tuple[str, str]:
        return "<start_of_image>", f"\n\n<start_of_image>{token}<end_of_image>\n\n"

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: Grid | None) -> dict[str, Tensor]:
        return {"token_type_ids": image.long()}


class SmolVLM(Family):
    """SmolVLM and Idefics 3: neighbouring patches become one token; the image whole, without tiles."""

    tower = "model.vision_model"
    projector = ("model.connector",)
    cuts = ("after", "before")
    pools = ("after",)
    fixed = False
    listed = True

    def step(self, config: PretrainedConfig) -> int:
        return int(config.vision_config.patch_size * config.scale_factor)

    def content(self, content: Mapping[str, Any], side: int) -> Content:
        size = {"height": side, "width": side}
        return {**content, "size": size, "max_image_size": {"longest_edge": side}, "do_image_splitting": False}

    def place(self, token: str) -> tuple[str, str]:
        around = "<fake_token_around_image>"
        return token, f"{around}<global-img>{token}{around}"

    def see(self, core: Any, pixels: Tensor) -> Tensor:
        hidden: Tensor = core.vision_model(pixel_values=pixels).last_hidden_state
        return hidden

    def project(self, core: Any, seen: Tensor) -> Tensor:
        projected: Tensor = core.connector(seen)
        return projected


class InternVL(Family):
    """InternVL 3 (Zhu et al. 2025, arXiv:2504.10479): four patches become one token; the image whole, without tiles."""

    cuts = ("after", "before")

    def side(self, config: PretrainedConfig) -> int:
        return int(config.vision_config.image_size[0])

    def step(self, config: PretrainedConfig) -> int:
        return int(config.vision_config.patch_size[0] / config.downsample_ratio)

    def content(self, content: Mapping[str, Any], side: int) -> Content:
        return {**super().content(content, side), "crop_to_patches": False}

    def place(self, token: str) -> tuple[str, str]:
        return token, f"<img>{token}</img>"

    def see(self, core: Any, pixels: Tensor) -> Tensor:
        patches = core.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        grid = patches.unflatten(1, [int(patches.shape[1] ** 0.5)] * 2)
        return torch.flatten(core.pixel_shuffle(grid, core.config.downsample_ratio), 1, 2)


FAMILIES: Mapping[str, Family] = {
    "llava": Llava(),
    "paligemma": PaliGemma(),
    "gemma3": Gemma3(),
    "smolvlm": SmolVLM(),
    "idefics3": SmolVLM(),
    "internvl": InternVL(),
    "qwen2_vl": QwenVL(),
    "qwen2_5_vl": QwenVL(),
    "qwen3_vl": QwenVL(),
    "qwen3_vl_moe": QwenVL(),
    "qwen3_5": Qwen35(),
    "qwen3_5_moe": Qwen35(),
}
# Types that look as if they could be read this way, and why they can't.
BLIND: Mapping[str, str] = {
    "florence2": "it takes an image's features and ignores them without a word",
}
