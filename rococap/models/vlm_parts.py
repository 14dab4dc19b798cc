"""What of an image-text model is settled before its weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from rococap.models.hub import load_tokenizer
from rococap.models.patches import pooled_grid
from rococap.models.processor import ImageSettings, image_settings
from rococap.models.prompts import Prompt, chat_templates, end_tokens, make_prompt
from rococap.models.vlm_family import Cut, Family
from rococap.types import UserError


class Parts:
    """What of an image-text model is known before its weights are read."""

    def __init__(
        self,
        path: str,
        config: PretrainedConfig,
        family: Family,
        prompt: str | None,
        image_size: int | None,
        cut: Cut,
        content: Mapping[str, Any] | ImageSettings,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        """Reads what is small.

        Args:
            content: of preprocessor_config.json, or settings that stay as they are.

        Raises:
            UserError: a setting does not suit the checkpoint.
        """
        self.config, self.family = config, family
        self.tokenizer = load_tokenizer(path, ends=()) if tokenizer is None else tokenizer
        self.ends = end_tokens(path, self.tokenizer, config)
        self.cut = self._cut(cut)
        side = self._side(image_size)
        self.grid = family.grid(config, side)
        self.settings = content if isinstance(content, ImageSettings) else self._settings(content, side, path)
        self.image_id = _image_id(config, path)
        mark, full = family.place(str(self.tokenizer.convert_ids_to_tokens(self.image_id)))
        self.prompt: Prompt = make_prompt(
            prompt,
            self.tokenizer,
            self.image_id,
            templates=chat_templates(path, self.tokenizer),
            mark=mark,
            full=full,
            default=family.default_prompt,
            begins=family.begins,
        )

    def check_visual_tokens(self, visual_tokens: int | None) -> None:
        """Raises UserError where the image's tokens cannot be averaged to so many."""
        if visual_tokens is not None and self.grid is not None and self.cut not in self.family.pools:
            remedy = "take model.cut=after" if self.family.pools else "their number follows model.image_size"
            raise UserError(f"model.visual_tokens={visual_tokens}: not with this model: {remedy}, or null for all.")
        pooled_grid(self.grid, visual_tokens)

    def _settings(self, content: Mapping[str, Any], side: int, path: str) -> ImageSettings:
        saved = self.family.content(content, side)
        square = {} if saved.get("do_center_crop") else {"size": {"height": side, "width": side}}
        return replace(image_settings({**saved, **square}, f"{path}/preprocessor_config.json"), content=saved)

    def _cut(self, cut: Cut) -> Cut:
        possible = self.family.cuts
        if cut != "auto" and cut not in possible:
            raise UserError(f"model.cut={cut}: this model's features can be cut {' or '.join(possible)} the projector.")
        return possible[0] if cut == "auto" else cut

    def _side(self, image_size: int | None) -> int:
        if image_size is None:
            return self.family.side(self.config)
        step = self.family.step(self.config)
        if image_size % step or image_size < step:
            near = max(step, round(image_size / step) * step)
            raise UserError(f"model.image_size={image_size}: it must be a multiple of {step}, such as {near}.")
        if self.family.fixed and image_size != (own := self.family.side(self.config)):
            raise UserError(f"model.image_size={image_size}: this vision tower takes {own} pixels. Take null.")
        return image_size


def _image_id(config: PretrainedConfig, path: str) -> int:
    """Of the token that stands for the image; by another name in newer configs."""
    for name in ("image_token_id", "image_token_index"):
        if (found := getattr(config, name, None)) is not None:
            return int(found)
    raise UserError(f"model.path={path}: its config names no token that stands for the image (image_token_id).")
