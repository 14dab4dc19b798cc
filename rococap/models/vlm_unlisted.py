"""Image-text models that are not listed: read as far as their names tell, and refused where that is not enough."""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from rococap.models.vlm_family import Family, Grid
from rococap.types import UserError

# What `get_image_features` may take without needing it; anything else tells of tiles, or of patches of any number.
_ENOUGH = {
    "pixel_values",
    "pixel_mask",
    "pixel_attention_mask",
    "vision_feature_layer",
    "vision_feature_select_strategy",
    "interpolate_pos_encoding",
    "kwargs",
}


class Unlisted(Family):
    """Another type that takes an image's features, as far as its module names tell.

    How its tokens lie in an image is not known: they are no grid to it.
    """

    cuts = ("after",)
    pools = ()

    def __init__(self, model_class: Any, config: PretrainedConfig) -> None:
        """Looks at the model without its weights.

        Raises:
            UserError: vision tower and language model are not told apart, or it wants more than an image. It says why,
                and not of which checkpoint.
        """
        with torch.device("meta"):
            try:
                core = getattr(model_class(config), "model", None)
            except Exception as error:  # anything: nobody has tried this type here; mostly a package is not there
                raise UserError(f"it cannot be built ({' '.join(str(error).split())[:150]})") from error
        asked = getattr(core, "get_image_features", None)
        if core is None or asked is None or not hasattr(config, "vision_config"):
            raise UserError("its vision tower is not to be told from its words")
        if more := [name for name in signature(asked).parameters if name not in _ENOUGH]:
            raise UserError(f"it wants {', '.join(more)} beside an image's pixels")
        words = core.get_input_embeddings()
        children = [(name, list(child.modules())) for name, child in core.named_children()]
        sight = [f"model.{name}" for name, modules in children if not any(module is words for module in modules)]
        if not sight or len(sight) == len(children):
            raise UserError("its vision tower is not to be told from its words")
        self.tower, self.projector = sight[0], tuple(sight[1:])
        self.fixed = _side_of(config) is not None

    def side(self, config: PretrainedConfig) -> int:
        if (side := _side_of(config)) is None:
            raise UserError(
                f"model.image_size=null: this checkpoint, of type {config.model_type}, does not say what size it "
                "sees.\nSet it to the pixels of a square."
            )
        return side

    def step(self, config: PretrainedConfig) -> int:
        return _first(getattr(config.vision_config, "patch_size", None)) or 1

    def grid(self, config: PretrainedConfig, side: int) -> Grid | None:
        return None

    def see(self, core: Any, pixels: Tensor) -> Tensor:
        found = core.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
        self.listed = not isinstance(found, Tensor)
        tokens: Tensor = torch.stack(list(found)) if self.listed else found
        return tokens.reshape(len(pixels), -1, tokens.shape[-1])

    def project(self, core: Any, seen: Tensor) -> Tensor:
        return seen


def _side_of(config: PretrainedConfig) -> int | None:
    return _first(getattr(config.vision_config, "image_size", None))


def _first(size: Any) -> int | None:
    """Of a number, or of one a side."""
    one = size[0] if isinstance(size, list | tuple) else size
    return None if one is None else int(one)
