"""Image size and tokenizer of a Hugging Face checkpoint, as the data needs them: picklable, no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image as Images
from PIL.Image import Image, Resampling
from transformers import PreTrainedTokenizerBase
from transformers.models.auto.image_processing_auto import get_image_processor_class_from_name

from rococap.types import UserError

# Of a preprocessor_config.json: what each class of image processors has its own default for.
_SAID = (
    "size",
    "resample",
    "do_center_crop",
    "crop_size",
    "do_pad",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
)


@dataclass(frozen=True)
class ImageSettings:
    """What a preprocessor_config.json says of resizing and normalising.

    Attributes:
        size: height and width that the model sees.
        resample: Pillow's number of the filter.
        scale: factor on 0..255, before mean and standard deviation.
        geometry: resize squeezes to the size; crop resizes the shorter side to `shortest` and takes the middle; pad
            makes the image square with borders of the colour `fill`, and resizes that.
        content: of the file itself, which is written again beside an exported model.
    """

    size: tuple[int, int]
    resample: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    geometry: Literal["resize", "crop", "pad"] = "resize"
    shortest: int = 0
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fill(self) -> tuple[int, ...]:
        """The colour that normalises to 0, as LLaVA pads."""
        return tuple(int(mean / self.scale) for mean in self.mean)

    def pixels(self, image: Image) -> np.ndarray:
        """An RGB image as `uint8 [3, height, width]`, as the checkpoint's own image processor has it before scaling."""
        height, width = self.size
        if self.geometry == "crop":
            image = _centre(_shortest(image, self.shortest, self.resample), self.size)
        else:
            whole = _square(image, self.fill) if self.geometry == "pad" else image
            image = whole.resize((width, height), Resampling(self.resample))
        return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))

    def save(self, folder: Path) -> None:
        """Write them as a preprocessor_config.json that Hugging Face reads, also without torchvision."""
        height, width = self.size
        cropped = {"do_center_crop": True, "size": {"shortest_edge": self.shortest}}
        content = {
            "image_processor_type": "CLIPImageProcessor" if self.geometry == "crop" else "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": height, "width": width},
            "resample": self.resample,
            "do_rescale": True,
            "rescale_factor": self.scale,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "crop_size": {"height": height, "width": width},
            **(cropped if self.geometry == "crop" else {}),
        }
        if (own := image_class(self.content)) is not None:
            content |= {**self.content, "image_processor_type": own.__name__.removesuffix("Pil")}
            content.pop("feature_extractor_type", None)
        (folder / "preprocessor_config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class HFProcessor:
    """Resizes as the checkpoint's own image processor does, and tokenises with the end token last.

    Attributes:
        max_positions: the longest caption that the decoder can take, in tokens.
        end_token_id: ends a caption; the tokenizer's own end token for most, [SEP] for BERT.
        pad_token_id: fills short rows; may equal the end token.
    """

    images: ImageSettings
    tokenizer: PreTrainedTokenizerBase
    max_positions: int
    end_token_id: int
    pad_token_id: int

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.images.size

    def pixels(self, image: Image) -> np.ndarray:
        """An RGB image as `uint8 [3, height, width]`: resized only, since the model scales and normalises."""
        return self.images.pixels(image)

    def tokens(self, caption: str, limit: int) -> tuple[list[int], bool]:
        """At most `limit` ids, or as many as the decoder takes, the end token last; and whether the caption was cut.

        The end token is appended here, and a caption that spells it gets it as plain text: a model learns to
        stop only from end tokens that stand at the end.
        """
        ids = self.tokenizer(caption, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        kept = ids[: min(limit, self.max_positions) - 1]
        return [*kept, self.end_token_id], len(kept) < len(ids)

    def prompt(self, words: str, most: int) -> tuple[int, ...]:
        """Ids of words before a caption, at most so many: the first ones."""
        ids = self.tokenizer(words, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        return tuple(ids[: max(0, most)])

    def text(self, ids: list[int]) -> str:
        """The caption that generated ids spell, without special tokens and outer blanks."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)).strip()


def causal_processor(images: ImageSettings, tokenizer: PreTrainedTokenizerBase, max_positions: int) -> HFProcessor:
    """Of a decoder whose tokenizer has an end token; where it has no pad token (GPT-2), the end token fills rows."""
    end = int(tokenizer.eos_token_id)
    pad = end if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    return HFProcessor(images, tokenizer, max_positions, end, pad)


def image_class(content: Mapping[str, Any]) -> Any:
    """The class that a preprocessor_config.json names, in its form without torchvision; None where there is none."""
    named = content.get("image_processor_type") or content.get("feature_extractor_type") or ""
    today = str(named).removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    return get_image_processor_class_from_name(f"{today}Pil") if today else None


def with_defaults(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a preprocessor_config.json, with what its class means where the file says nothing.

    Of what is done, null says that it is not, as transformers reads it.
    """
    own = image_class(content)
    meant = {name: getattr(own, name, None) for name in _SAID}
    said = {name: False if value is None else value for name, value in content.items() if name.startswith("do_")}
    said |= {name: value for name, value in content.items() if value is not None}
    return {**{name: value for name, value in meant.items() if value is not None}, **said}


def image_settings(config: Mapping[str, Any], where: str) -> ImageSettings:
    """Read an image processor's settings, of any age.

    Args:
        config: the content of preprocessor_config.json. In 2021 `size` was one number.
        where: names the file in messages.

    Raises:
        UserError: the settings ask for something that is none of `ImageSettings.geometry`.
    """
    normalise = config.get("do_normalize", True)
    settings = ImageSettings(
        size=(0, 0),
        resample=int(config.get("resample", Resampling.BILINEAR)),
        scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        mean=tuple(config.get("image_mean", (0.5, 0.5, 0.5))) if normalise else (0.0, 0.0, 0.0),
        std=tuple(config.get("image_std", (0.5, 0.5, 0.5))) if normalise else (1.0, 1.0, 1.0),
        content=dict(config),
    )
    size, crop = config.get("size", 224), config.get("do_center_crop", False)
    if isinstance(size, int):
        size = {"shortest_edge": size} if crop else {"height": size, "width": size}
    if {"height", "width"} <= set(size) and not crop:
        pads = config.get("do_pad") and config.get("image_processor_type", "").startswith("Llava")
        return replace(settings, size=(int(size["height"]), int(size["width"])), geometry="pad" if pads else "resize")
    if crop and (shortest := _shortest_of(size)) is not None:
        middle = config.get("crop_size", shortest)
        middle = {"height": middle, "width": middle} if isinstance(middle, int) else middle
        if min(int(middle["height"]), int(middle["width"])) <= shortest:
            cropped = (int(middle["height"]), int(middle["width"]))
            return replace(settings, size=cropped, geometry="crop", shortest=shortest)
    raise UserError(
        f"{where}: size={config.get('size')} with do_center_crop={crop} and crop_size={config.get('crop_size')} is "
        "neither a resize to height x width\nnor a centre crop within the shorter side: no other is supported."
    )


def _shortest_of(size: Mapping[str, Any]) -> int | None:
    if "shortest_edge" in size:
        return int(size["shortest_edge"])
    height, width = size.get("height"), size.get("width")
    return int(height) if height is not None and height == width else None


def _shortest(image: Image, shortest: int, resample: int) -> Image:
    """Resized so that the shorter side has so many pixels, the other rounded down, as transformers does."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    longer = int(shortest * long / short)
    return image.resize((shortest, longer) if width <= height else (longer, shortest), Resampling(resample))


def _centre(image: Image, size: tuple[int, int]) -> Image:
    height, width = size
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _square(image: Image, fill: tuple[int, ...]) -> Image:
    side = max(image.size)
    square = Images.new("RGB", (side, side), fill)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
