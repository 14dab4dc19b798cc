"""Image size and tokenizer of a Hugging Face checkpoint, as the data needs them: picklable, no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image, Resampling
from transformers import PreTrainedTokenizerBase

from rococap.types import UserError


@dataclass(frozen=True)
class HFProcessor:
    """Resizes as the checkpoint's own image processor does, and tokenises with the end token last."""

    image_size: tuple[int, int]  # height, width
    resample: int  # PIL's number of the filter
    tokenizer: PreTrainedTokenizerBase
    max_positions: int  # the longest caption that the decoder can take, in tokens

    def pixels(self, image: Image) -> np.ndarray:
        """An RGB image as `uint8 [3, height, width]`: resized only, since the model scales and normalises."""
        height, width = self.image_size
        resized = image.resize((width, height), Resampling(self.resample))
        return np.ascontiguousarray(np.asarray(resized, dtype=np.uint8).transpose(2, 0, 1))

    def tokens(self, caption: str, limit: int) -> tuple[list[int], bool]:
        """At most `limit` ids, or as many as the decoder takes, the end token last; and whether the caption was cut.

        The end token is appended here, and a caption that spells it gets it as plain text: a model learns to
        stop only from end tokens that stand at the end.
        """
        ids = self.tokenizer(caption, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        kept = ids[: min(limit, self.max_positions) - 1]
        return [*kept, self.tokenizer.eos_token_id], len(kept) < len(ids)

    def text(self, ids: list[int]) -> str:
        """The caption that generated ids spell, without special tokens and outer blanks."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)).strip()

    @property
    def pad_token_id(self) -> int:
        """The tokenizer's pad token, or its end token where it has none (GPT-2)."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)


@dataclass(frozen=True)
class ImageSettings:
    """What a preprocessor_config.json says of resizing and normalising."""

    size: tuple[int, int]  # height, width
    resample: int
    scale: float  # factor on 0..255, before mean and standard deviation
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def save(self, folder: Path) -> None:
        """Write them as the preprocessor_config.json that Hugging Face reads."""
        content = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": self.size[0], "width": self.size[1]},
            "resample": self.resample,
            "do_rescale": True,
            "rescale_factor": self.scale,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def image_settings(config: Mapping[str, Any], where: str) -> ImageSettings:
    """Read an image processor's settings, of any age.

    Args:
        config: the content of preprocessor_config.json. In 2021 `size` was one number.
        where: names the file in messages.

    Raises:
        UserError: the settings ask for something other than a plain resize.
    """
    size = config.get("size", 224)
    if isinstance(size, int):
        size = {"height": size, "width": size}
    if config.get("do_center_crop") or not {"height", "width"} <= set(size):
        raise UserError(
            f"{where}: size={config.get('size')} with do_center_crop={config.get('do_center_crop')} is not a plain "
            "resize to height x width.\nOnly that is supported: choose a ViT checkpoint with it."
        )
    normalize = config.get("do_normalize", True)
    return ImageSettings(
        size=(int(size["height"]), int(size["width"])),
        resample=int(config.get("resample", Resampling.BILINEAR)),
        scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        mean=tuple(config.get("image_mean", (0.5, 0.5, 0.5))) if normalize else (0.0, 0.0, 0.0),
        std=tuple(config.get("image_std", (0.5, 0.5, 0.5))) if normalize else (1.0, 1.0, 1.0),
    )
