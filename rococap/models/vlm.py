"""Image-text models of transformers that take an image's features in place of its pixels (`mm_encoder_outputs`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, GenerationConfig, PretrainedConfig

from rococap.models.attention import watched
from rococap.models.base import Captioner, token_loss
from rococap.models.hub import READERS, load, load_config, load_image_content, load_type, place
from rococap.models.loading import Loading
from rococap.models.network import Part
from rococap.models.processor import HFProcessor
from rococap.models.towers import plain_config
from rococap.models.vlm_families import BLIND, FAMILIES
from rococap.models.vlm_family import Cut, Family
from rococap.models.vlm_parts import Parts
from rococap.models.vlm_probe import require_sight, tokens_and_unused
from rococap.models.vlm_unlisted import Unlisted
from rococap.types import UserError

_BASE = """\
import torch
import transformers

base = transformers.{model_class}.from_pretrained({path!r}, {loading})
"""
_POOLING = """


def pool(projector, inputs{arguments}):
    lead = {values}.shape[1] - {rows} * {columns}
    grid = {values}[:, lead:].transpose(1, 2).unflatten(2, ({rows}, {columns}))
    grid = torch.nn.functional.adaptive_avg_pool2d(grid, {to}).flatten(2).transpose(1, 2)
    return torch.cat([{values}[:, :lead], grid], dim=1)


for name, module in model.named_modules():
    if name.endswith("{module}"):
        module.register_forward_{hook}(pool)  # as it was trained: fewer visual tokens
"""
_CAPTION = """\
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, GenerationConfig

tokenizer = AutoTokenizer.from_pretrained("{folder}")
processor = AutoImageProcessor.from_pretrained("{folder}")
settings = GenerationConfig.from_pretrained("{folder}", max_new_tokens={limit})
image = Image.open("IMAGE").convert("RGB"){squared}
seen = processor(image, return_tensors="pt")
prompt = {prompt}
ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
given = {{"pixel_values": seen.pixel_values}}
{beside}with torch.no_grad():
    said = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, do_sample=False, **given
    )
print(tokenizer.decode(said[0, ids.shape[1] :], skip_special_tokens=True))
"""


def vlm(
    path: str,
    prompt: str | None = None,
    image_size: int | None = None,
    cut: Cut = "auto",
    visual_tokens: int | None = None,
    loading: Loading = Loading(),
) -> VLM:
    """An image-text model that was published whole, such as Qwen/Qwen2.5-VL-3B-Instruct.

    Args:
        path: a name on the Hugging Face hub, or a directory.
        prompt: the text before a caption, in which <image> stands once; None: the checkpoint's chat template around a
            question.
        image_size: pixels of the square that it sees; None: the checkpoint's own. Images are not tiled.
        cut: what `encode` runs: before: the vision tower, so that the projector can train beside kept features; after:
            the projector too. auto: whichever keeps less.
        visual_tokens: tokens of the image that the language model sees, a square number; None: all.

    Raises:
        UserError: it is no such model or the image cannot reach its words, a setting does not suit it, or the hub
            cannot be reached.
    """
    kind = load_type(path)
    if kind in BLIND or (kind in READERS and kind not in FAMILIES):
        raise _not_here(path, kind, BLIND.get(kind, f"model={READERS.get(kind)} reads it"))
    config = load_config(path)
    model_class = AutoModelForImageTextToText._model_mapping.get(type(config), None)
    if model_class is None:
        raise _not_here(path, kind, "transformers knows no image-text model of this type")
    if "mm_encoder_outputs" not in signature(model_class.forward).parameters:
        older = "transformers 5.20 or newer reads it" if kind in FAMILIES else "it does not take an image's features"
        raise _not_here(path, kind, older)
    try:
        family: Family = FAMILIES.get(kind) or Unlisted(model_class, config)
    except UserError as error:
        raise _not_here(path, kind, str(error)) from None
    parts = Parts(path, config, family, prompt, image_size, cut, load_image_content(path))
    parts.check_visual_tokens(visual_tokens)
    keep = (family.tower, *family.projector, "lm_head")
    model, new = load(model_class, path, loading, keep)
    code = _BASE.format(model_class=model_class.__name__, path=place(path), loading=loading.code(keep))
    if kind in FAMILIES:
        return VLM(model, parts, new, code + loading.finishing, visual_tokens)
    try:
        captioner = VLM(model, parts, new, code + loading.finishing, visual_tokens)
    except (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise _not_here(path, kind, f"an image cannot be shown to it alone ({error})") from error
    require_sight(captioner, path)
    return captioner


def _not_here(path: str, kind: str, why: str) -> UserError:
    return UserError(
        f"model.path={path} is of type {kind}: {why}.\nmodel=vlm reads {', '.join(FAMILIES)}, and others whose words "
        "are found to move with the image."
    )


class VLM(Captioner):
    """An image-text model behind the three verbs: its prompt, the image's tokens in it, stands before each caption."""

    head = "lm_head"

    def __init__(
        self,
        network: Any,
        parts: Parts,
        new: frozenset[str],
        base_code: str,
        visual_tokens: int | None = None,
    ) -> None:
        family = self.family = parts.family
        self.cut, self.image_id = parts.cut, parts.image_id
        self.encoder = (family.tower,) if parts.cut == "before" else (family.tower, *family.projector)
        self.projector = family.projector
        self.targets: Mapping[Part, tuple[str, ...]] = {
            "decoder": family.targets,
            "tower": family.tower_targets,
            "projector": ("linear_1", "linear_2", "linear", "proj", "linear_fc1", "linear_fc2", "mlp.0", "mlp.2"),
        }
        self.model_class = type(network).__name__
        tokenizer, ends = parts.tokenizer, parts.ends
        # What fills rows must not look like an image.
        pad = ends[0] if tokenizer.pad_token_id in {None, self.image_id} else int(tokenizer.pad_token_id)
        processor = HFProcessor(parts.settings, tokenizer, 1, ends[0], pad)
        super().__init__(
            network, parts.settings, processor, new, base_code, grid=parts.grid, visual_tokens=visual_tokens
        )
        self.count, self.unused = tokens_and_unused(self)
        self.prompt = parts.prompt
        self.prompt_ids = parts.prompt.ids(tokenizer, self.count)
        self.processor = replace(processor, max_positions=self._room(network.config))
        if self.grid != self.full_grid:
            self.opening_code = self._pooling_code()
        self.generation = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=ends,
            pad_token_id=pad,
            repetition_penalty=1.0,  # some checkpoints' own settings say more
            no_repeat_ngram_size=0,
        )
        network.generation_config = self.generation

    @property
    def vision_config(self) -> dict[str, Any]:
        config = plain_config(self.model.config)
        theirs = {name: value for name, value in config.items() if name not in {"text_config", "transformers_version"}}
        return {**theirs, "cut": self.cut}

    def look(self, pixels: Tensor) -> Tensor:
        core = self.model.model
        seen = self.family.see(core, pixels)
        return seen if self.cut == "before" else self.family.project(core, seen)

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._decode(features, input_ids)
        real = attention_mask.bool()
        logits = self.model.get_submodule(self.head)(hidden[real])  # [real tokens, vocab]: none for padding
        return token_loss(logits, input_ids[real]), real.sum()

    def generate(
        self, features: Tensor, *, max_new_tokens: int, num_beams: int, given: Tensor | None = None
    ) -> list[str]:
        start = torch.tensor([self.prompt_ids] * len(features), device=features.device)
        start = start if given is None else torch.cat([start, given], dim=1)
        ids = self.model.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            generation_config=self.generation,
            do_sample=False,
            max_new_tokens=min(max_new_tokens, self.processor.max_positions - start.shape[1] + len(self.prompt_ids)),
            num_beams=num_beams,
            **self._image(features, start),
        )
        return [self.processor.text(row) for row in ids[:, start.shape[1] :].tolist()]

    def attend(self, features: Tensor, captions: list[str]) -> Tensor:
        rows = [torch.tensor(self.processor.tokens(c, self.processor.max_positions)[0]) for c in captions]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.processor.pad_token_id)
        assert self.grid is not None
        last = len(self.prompt_ids) - self.prompt_ids[::-1].index(self.image_id)
        image = slice(last - self.grid[0] * self.grid[1], last)
        words = slice(len(self.prompt_ids) - 1, None)
        named = self.model.named_modules()
        shown = [m for name, m in named if name.endswith(".self_attn") and self.part(name) == "decoder"]
        with torch.no_grad(), watched(shown, lambda weights: weights[:, :, words, image].mean(dim=1)) as layers:
            self._decode(features, ids.to(features.device))
        return torch.stack(layers).float().mean(dim=0)

    def example_code(self, folder: str) -> str:
        height, width = self.settings.size
        return _CAPTION.format(
            folder=folder,
            limit=min(128, self.processor.max_positions),
            squared=f".resize(({width}, {height}), {self.settings.resample})" if self.family.squares else "",
            prompt=self.prompt.code(self.count),
            beside=self.family.code.format(image_id=self.image_id),
        )

    def save_settings(self, folder: Path) -> None:
        self.generation.save_pretrained(folder)
        super().save_settings(folder)

    def _image(self, features: Tensor, ids: Tensor) -> dict[str, Any]:
        """The image for a forward pass over `ids`, which begin with the prompt."""
        core = self.model.model
        tokens = self.family.project(core, features) if self.cut == "before" else features
        beside = self.family.beside(core, ids, ids == self.image_id, len(self.prompt_ids), self.grid)
        return {"mm_encoder_outputs": {"image": self.family.given(tokens, core)}, **beside}

    def _decode(self, features: Tensor, input_ids: Tensor) -> Tensor:
        """Hidden states [batch, tokens, width] that foretell captions. Padding is last, attention causal: no mask."""
        prompt = input_ids.new_tensor([self.prompt_ids] * len(input_ids))
        ids = torch.cat([prompt, input_ids[:, :-1]], dim=1)
        found = self.model.model(input_ids=ids, use_cache=False, **self._image(features, ids))
        hidden: Tensor = found.last_hidden_state[:, len(self.prompt_ids) - 1 :]
        return hidden

    def _room(self, config: PretrainedConfig) -> int:
        positions = getattr(config.get_text_config(), "max_position_embeddings", None) or 1 << 20
        room = int(positions) - len(self.prompt_ids)
        if room < 2:
            raise UserError(
                f"model.prompt: with the image it takes {len(self.prompt_ids)} tokens, and the language model has "
                f"{positions} positions: no room for a caption.\nTake a shorter prompt, or fewer model.visual_tokens."
            )
        return room

    def _pooling_code(self) -> str:
        assert self.full_grid is not None
        before = self.cut == "before"
        return _POOLING.format(
            arguments="" if before else ", output",
            values="inputs[0]" if before else "output",
            rows=self.full_grid[0],
            columns=self.full_grid[1],
            to=self.grid,
            module=self.family.projector[0],
            hook="pre_hook" if before else "hook",
        )
