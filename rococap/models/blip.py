"""BLIP (Li et al. 2022, arXiv:2201.12086): a vision tower and a BERT that looks at the image by cross-attention."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BlipConfig, BlipForConditionalGeneration, GenerationConfig, PreTrainedTokenizerBase

from rococap.models.attention import watched
from rococap.models.base import Captioner, token_loss
from rococap.models.hub import (
    load,
    load_config,
    load_image_settings,
    load_tokenizer,
    place,
    require_architecture,
    without_generation,
)
from rococap.models.loading import Loading
from rococap.models.network import Part
from rococap.models.patches import pooled_grid
from rococap.models.processor import HFProcessor, ImageSettings
from rococap.models.towers import grid_of, last_hidden, plain_config, pooling_code, require_size

_BASE = """\
import torch
import transformers

base = transformers.BlipForConditionalGeneration.from_pretrained({path!r}, {loading})
"""
_CAPTION = """\
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, GenerationConfig

tokenizer = AutoTokenizer.from_pretrained("{folder}")
processor = AutoImageProcessor.from_pretrained("{folder}")
settings = GenerationConfig.from_pretrained("{folder}", max_new_tokens={limit})
pixel_values = processor(Image.open("IMAGE").convert("RGB"), return_tensors="pt").pixel_values
# The first token becomes [DEC] and the last is dropped, by BLIP's own `generate`.
prompt = torch.tensor([[0, *tokenizer({prompt!r}, add_special_tokens=False)["input_ids"], 0]])
with torch.no_grad():
    ids = model.generate(
        pixel_values=pixel_values, input_ids=prompt, generation_config=settings, num_beams=1, do_sample=False
    )
print(tokenizer.decode(ids[0, prompt.shape[1] - 1 :], skip_special_tokens=True, clean_up_tokenization_spaces=False))
"""
# Beginnings of names that are not rounded.
_KEEP = ("vision_model", "text_decoder.cls")
# Linear layers of the tower's attention: query, key and value are one.
_TOWER_TARGETS = ("qkv",)


def published(path: str, prompt: str = "", visual_tokens: int | None = None, loading: Loading = Loading()) -> Blip:
    """A published BLIP, such as Salesforce/blip-image-captioning-base or -large.

    Args:
        path: a name on the Hugging Face hub, or a directory.
        prompt: words that each caption continues and that are no part of it, such as "a picture of".
        visual_tokens: patches that the decoder sees, a square number such as 144: the tower's grid is averaged down to
            it. None leaves the grid as it is (576 at 384 pixels and patches of 16).

    Raises:
        UserError: not a BLIP that captions, or the hub cannot be reached.
    """
    config = load_config(path, ("blip",))
    require_architecture(config, path, "BlipForConditionalGeneration")
    require_size(config.vision_config, settings := load_image_settings(path), path)
    tokenizer = load_tokenizer(path, ends=())
    pooled_grid(grid_of(config.vision_config, settings.size), visual_tokens)
    read = without_generation(config, config.text_config, config.vision_config)
    model, new = load(BlipForConditionalGeneration, path, loading, _KEEP, config=read)
    code = _BASE.format(path=place(path), loading=loading.code(_KEEP)) + loading.finishing
    return Blip(model, settings, tokenizer, new, code, prompt, visual_tokens)


class Blip(Captioner):
    """A BlipForConditionalGeneration behind the three verbs.

    Attributes:
        start: ids that stand before every caption: [DEC], and the prompt.
    """

    encoder = ("vision_model",)
    model_class = "BlipForConditionalGeneration"
    head = "text_decoder.cls"
    targets: Mapping[Part, tuple[str, ...]] = {"decoder": ("query", "value"), "tower": _TOWER_TARGETS}

    def __init__(
        self,
        network: BlipForConditionalGeneration,
        settings: ImageSettings,
        tokenizer: PreTrainedTokenizerBase,
        new: frozenset[str],
        base_code: str,
        prompt: str = "",
        visual_tokens: int | None = None,
    ) -> None:
        config: BlipConfig = network.config
        text = config.text_config
        # transformers' `forward` leaves [CLS] where its `generate` puts [DEC], with which BLIP was trained.
        self.start = [int(text.bos_token_id), *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        usable = text.max_position_embeddings - len(self.start) + 1
        processor = HFProcessor(settings, tokenizer, usable, int(text.sep_token_id), int(text.pad_token_id))
        grid = grid_of(config.vision_config, settings.size)
        super().__init__(network, settings, processor, new, base_code, grid=grid, visual_tokens=visual_tokens)
        self.prompt = prompt
        if self.grid is not None and self.grid != self.full_grid:
            self.opening_code = pooling_code("vision_model", grid, self.grid)
        self.generation = GenerationConfig(
            bos_token_id=self.start[0],
            eos_token_id=processor.end_token_id,
            pad_token_id=processor.pad_token_id,
        )

    @property
    def vision_config(self) -> dict[str, Any]:
        return plain_config(self.model.config.vision_config)

    def look(self, pixels: Tensor) -> Tensor:
        return last_hidden(self.model.vision_model, pixels)

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        real = attention_mask.bool()
        logits = self.model.text_decoder.cls(self._decode(features, input_ids)[real])  # none for padding
        return token_loss(logits, input_ids[real]), real.sum()

    def generate(
        self, features: Tensor, *, max_new_tokens: int, num_beams: int, given: Tensor | None = None
    ) -> list[str]:
        start = torch.tensor([self.start], device=features.device).repeat(len(features), 1)
        start = start if given is None else torch.cat([start, given], dim=1)
        ids = self.model.text_decoder.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            encoder_hidden_states=features,
            encoder_attention_mask=torch.ones(features.shape[:2], dtype=torch.long, device=features.device),
            generation_config=self.generation,
            do_sample=False,
            # The decoder has no positions beyond its last: past them it would fail, not stop.
            max_new_tokens=min(max_new_tokens, self.processor.max_positions - 1 - start.shape[1] + len(self.start)),
            num_beams=num_beams,
        )
        return [self.processor.text(row) for row in ids[:, start.shape[1] :].tolist()]

    def attend(self, features: Tensor, captions: list[str]) -> Tensor:
        rows = [torch.tensor(self.processor.tokens(c, self.processor.max_positions)[0]) for c in captions]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.processor.pad_token_id)
        cross = [layer.crossattention.self for layer in self.model.text_decoder.bert.encoder.layer]
        with torch.no_grad(), watched(cross) as layers:
            self._decode(features, ids.to(features.device))
        maps = torch.stack(layers).float().mean(dim=(0, 2))[:, len(self.start) - 1 :]  # [batch, tokens, positions]
        assert self.grid is not None
        return maps[:, :, -self.grid[0] * self.grid[1] :]

    def example_code(self, folder: str) -> str:
        limit = min(128, self.processor.max_positions - 1)
        return _CAPTION.format(folder=folder, limit=limit, prompt=self.prompt)

    def save_settings(self, folder: Path) -> None:
        self.generation.save_pretrained(folder)
        super().save_settings(folder)

    def _decode(self, features: Tensor, input_ids: Tensor) -> Tensor:
        """The decoder's output, [batch, tokens, width], over captions shifted right by what stands before them.

        Padding is last and attention causal: no mask.
        """
        start = input_ids.new_tensor(self.start).expand(len(input_ids), -1)
        hidden: Tensor = self.model.text_decoder.bert(
            input_ids=torch.cat([start, input_ids[:, :-1]], dim=1),
            encoder_hidden_states=features,
            is_decoder=True,
            use_cache=False,
        ).last_hidden_state
        return hidden[:, len(self.start) - 1 :]
