"""What a family of transformers' image-text models tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor
from transformers import PretrainedConfig
from transformers.modeling_outputs import BaseModelOutputWithPooling

Cut = Literal["auto", "before", "after"]
Content = dict[str, Any]
Grid = tuple[int, int]


class Family:
    """LLaVA's relatives: a vision tower of one image size, a projector, a language model.

    Attributes:
        tower, projector: names of modules.
        cuts: where features may be cut, before or after the projector; first what `auto` takes.
        pools: whether the grid of features can be averaged to fewer visual tokens.
        targets, tower_targets: linear layers of the language model, and of the tower where asked for, that get LoRA.
        code: lines for a README that follow `given = {"pixel_values": ...}` and `ids`.
        listed: whether transformers keeps the image's tokens as a list, one entry an image.
    """

    tower: str = "model.vision_tower"
    projector: tuple[str, ...] = ("model.multi_modal_projector",)
    cuts: ClassVar[tuple[Cut, ...]] = ("before", "after")
    pools: ClassVar[tuple[Cut, ...]] = ("before", "after")
    targets: ClassVar[tuple[str, ...]] = ("q_proj", "v_proj")
    tower_targets: ClassVar[tuple[str, ...]] = ("q_proj", "v_proj")
    default_prompt: ClassVar[str | None] = None
    begins: ClassVar[bool] = True
    fixed: bool = True  # to the image size of its config
    squares: ClassVar[bool] = False  # its own image processor keeps proportions: the image is made square before
    code: ClassVar[str] = ""
    listed: bool = False

    def side(self, config: PretrainedConfig) -> int:
        """The checkpoint's own image size, in pixels."""
        return int(config.vision_config.image_size)

    def step(self, config: PretrainedConfig) -> int:
        """The image size is a multiple of this, in pixels."""
        return int(config.vision_config.patch_size)

    def grid(self, config: PretrainedConfig, side: int) -> Grid | None:
        """Rows and columns of the image's tokens; None where it is not known how they lie."""
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

    def beside(self, core: Any, ids: Tensor, image: Tensor, start: int, grid: Grid | None) -> dict[str, Tensor]:
        """What else a forward pass takes.

        Args:
            ids: int64 [batch, tokens]: the prompt, and captions from position `start` on.
            image: bool [batch, tokens], true at the image's tokens.
            grid: rows and columns of the image's tokens, where known.
        """
        return {}
