"""What each family of transformers' image-text models has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from transformers import PretrainedConfig
from transformers.modeling_outputs import BaseModelOutputWithPooling

from rococap.types import UserError

Cut = Literal["auto", "before", "after"]
Content = dict[str, Any]


class Family:
    """LLaVA's relatives: a vision tower of one image size, a projector, a language model.

    Attributes:
        tower, projector: names of modules.
        cuts: where features may be cut, before or after the projector; first what `auto` takes.
        pools: whether the grid of features can be averaged to fewer visual tokens.
        tower_targets: linear layers of the tower that get LoRA where asked for.
        code: lines for a README that follow `given = {"pixel_values": ...}` and `ids`.
        listed: whether transformers keeps the image's tokens as a list, one entry an image.
    """

    tower: str = "model.vision_tower"
    projector: tuple[str, ...] = ("model.multi_modal_projector",)
    cuts: ClassVar[tuple[Cut, ...]] = ("before", "after")
    pools: ClassVar[tuple[Cut, ...]] = ("before", "after")
    tower_targets: ClassVar[tuple[str, ...]] = ("q_proj", "v_proj")
    default_prompt: ClassVar[str | None] = None
    begins: ClassVar[bool] = True
    fixed: ClassVar[bool] = True  # to the image size of its config
    squares: ClassVar[bool] = False  # its own image processor keeps proportions: the image is made square before
    code: ClassVar[str] = ""
    listed: bool = False

    def side(self, config: PretrainedConfig) -> int:
        """The checkpoint's own image size, in pixels."""
        return int(config.vision_config.image_size)

    def step(self, config: PretrainedConfig) -> int:
        """The image size is a multiple of this, in pixels."""
        return int(config.vision_config.patch_size)

    def grid(self, config: PretrainedConfig, side: int) -> tuple[int, int]:
        """Rows and columns of the image's tokens."""
        rows = side // self.step(config)
        return rows, rows

    def content(self, content: Mapping[str, Any], side: int) -> Content:
        """A preprocessor_config.json for one square image of so many pixels."""
        size = {"height": side, "width": side}
        if content.get("do_center_crop"):
            return {**content, "size": {"shortest_edge": side}, "crop_size": size}
        return {**content, "size": size}

    def place(self, token: str) -> tuple[str, str]:
        """How a chat template writes the image's place, and how the model wants to see it, `token` once in it."""
        return token, token

    def see(self, core: Any, pixels: Tensor) -> Tensor:
        """The tower's output for the projector, [batch, positions, width], of normalised pixels."""
        hidden: Tensor = core.vision_tower(pixel_values=pixels).last_hidden_state
        return hidden

    def project(self, core: Any, seen: Tensor) -> Tensor:
        """The image's tokens of what `see` gave, [batch, tokens, width]."""
        projected: Tensor = core.multi_modal_projector(seen)
        return projected

    def given(self, tokens: Tensor, core: Any) -> Any:
        """The image's tokens as transformers takes them."""
        return BaseModelOutputWithPooling(pooler_output=list(tokens) if self.listed else tokens)

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: tuple[int, int]) -> dict[str, Tensor]:
        """What else a forward pass takes.

        Args:
            ids: int64 [batch, tokens]: the prompt, and captions from position `start` on.
            image: bool [batch, tokens], true at the image's tokens.
            grid: rows and columns of the image's tokens.
        """
        return {}


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

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: tuple[int, int]) -> dict[str, Tensor]:
        kinds = torch.zeros_like(ids)
        kinds[:, start:] = 1
        return {"token_type_ids": kinds}


class Gemma3(Family):
    """Gemma 3 and MedGemma: the projector averages 4096 patches to 256 tokens, which see one another."""

    cuts = ("after", "before")
    pools = ("after",)
    code = 'given["token_type_ids"] = (ids == {image_id}).long()  # the image is read in both directions\n'

    def grid(self, config: PretrainedConfig, side: int) -> tuple[int, int]:
        rows = int(config.mm_tokens_per_image**0.5)
        return rows, rows

    def content(self, content: Mapping[str, Any], side: int) -> Content:
        return {**super().content(content, side), "do_pan_and_scan": False}

    def place(self, token: str) -> tuple[str, str]:
        return "<start_of_image>", f"\n\n<start_of_image>{token}<end_of_image>\n\n"

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: tuple[int, int]) -> dict[str, Tensor]:
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

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: tuple[int, int]) -> dict[str, Tensor]:
        merge = core.config.vision_config.spatial_merge_size
        patches = torch.tensor([[1, grid[0] * merge, grid[1] * merge]] * len(ids), device=ids.device)
        return {"image_grid_thw": patches, "mm_token_type_ids": image.int()}


class Unlisted(Family):
    """Another type that takes an image's features, as far as its module names tell."""

    cuts = ("after",)
    pools = ("after",)

    def __init__(self, model_class: Any, config: PretrainedConfig) -> None:
        """Looks at the model without its weights.

        Raises:
            UserError: vision tower and language model are not told apart.
        """
        with torch.device("meta"):
            core = model_class(config).model
        words = core.get_input_embeddings()
        children = [(name, list(child.modules())) for name, child in core.named_children()]
        sight = [f"model.{name}" for name, modules in children if not any(module is words for module in modules)]
        if not sight or len(sight) == len(children) or not hasattr(config, "vision_config"):
            raise UserError(f"a model of type {config.model_type}: its vision tower is not to be told from its words.")
        self.tower, self.projector = sight[0], tuple(sight[1:])

    def see(self, core: Any, pixels: Tensor) -> Tensor:
        found = core.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
        self.listed = not isinstance(found, Tensor)
        tokens: Tensor = torch.stack(list(found)) if self.listed else found
        return tokens.reshape(len(pixels), -1, tokens.shape[-1])

    def project(self, core: Any, seen: Tensor) -> Tensor:
        return seen


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
}
# Types that look as if they could be read this way, and why they can't.
BLIND: Mapping[str, str] = {
    "florence2": "it takes an image's features and ignores them without a word",
}
