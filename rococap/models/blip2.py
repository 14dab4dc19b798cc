"""BLIP-2 (Li et al. 2023, arXiv:2301.12597): a few queries look at the image, a language model reads what they saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Blip2Config, Blip2ForConditionalGeneration, GenerationConfig, PreTrainedTokenizerBase

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
from rococap.models.towers import last_hidden, plain_config, require_size
from rococap.types import UserError

_BASE = """\
import torch
import transformers

base = transformers.Blip2ForConditionalGeneration.from_pretrained({path!r}, {loading})
"""
_CAPTION = """\
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, GenerationConfig

tokenizer = AutoTokenizer.from_pretrained("{folder}")
processor = AutoImageProcessor.from_pretrained("{folder}")
settings = GenerationConfig.from_pretrained("{folder}", max_new_tokens={limit})
pixel_values = processor(Image.open("IMAGE").convert("RGB"), return_tensors="pt").pixel_values
prompt = torch.tensor([{given}])  # {prompt!r}, which follows the image
with torch.no_grad():
    image = model.get_image_features(pixel_values=pixel_values).pooler_output
    given = torch.cat([image, model.get_input_embeddings()(prompt)], dim=1)
    ids = model.language_model.generate(
        inputs_embeds=given, generation_config=settings, num_beams=1, do_sample=False
    )
print(tokenizer.decode(ids[0], skip_special_tokens=True, clean_up_tokenization_spaces=False).strip())
"""
# Beginnings of names that are not rounded.
_KEEP = ("vision_model", "qformer", "language_projection", "language_model.lm_head")
# LoRA's usual targets, by the language model's type.
_TARGETS = {"opt": ("q_proj", "v_proj"), "t5": ("q", "v")}


def published(path: str, prompt: str = "", visual_tokens: int | None = None, loading: Loading = Loading()) -> Blip2:
    """A published BLIP-2 with an OPT or a Flan-T5, such as Salesforce/blip2-opt-2.7b or blip2-flan-t5-xl.

    Args:
        path: a name on the Hugging Face hub, or a directory.
        prompt: words that stand between the image and each caption, such as "a photo of"; no part of the caption.
        visual_tokens: None, since what the queries give is no grid.

    Raises:
        UserError: not a BLIP-2 that captions, or the hub cannot be reached.
    """
    config = load_config(path, ("blip-2",))
    require_architecture(config, path, "Blip2ForConditionalGeneration")
    if (kind := config.text_config.model_type) not in _TARGETS:
        raise UserError(f"model.path={path}: its language model is of type {kind}; known are {', '.join(_TARGETS)}.")
    # T5 computes in the type of its `wo`: rounded to bytes, it would turn its input into bytes.
    keep = (*_KEEP, r".*\.wo") if kind == "t5" else _KEEP
    require_size(config.vision_config, settings := load_image_settings(path), path)
    tokenizer = load_tokenizer(path, ends=())
    pooled_grid(None, visual_tokens)
    read = without_generation(config, config.text_config, config.vision_config, config.qformer_config)
    model, new = load(Blip2ForConditionalGeneration, path, loading, keep, config=read)
    code = _BASE.format(path=place(path), loading=loading.code(keep)) + loading.finishing
    return Blip2(model, settings, tokenizer, new, code, prompt, visual_tokens)


@dataclass(frozen=True)
class LineProcessor(HFProcessor):
    """Of an OPT, whose captions end with the end of the line: none may stand within.

    Attributes:
        lead: a blank where a prompt stands before: byte-level tokenizers keep it within a word's first token.
    """

    lead: str = ""

    def tokens(self, caption: str, limit: int) -> tuple[list[int], bool]:
        """As `HFProcessor.tokens`."""
        return super().tokens(self.lead + " ".join(caption.split()), limit)


class Blip2(Captioner):
    """A Blip2ForConditionalGeneration behind the three verbs, cut after the Q-Former: few positions are kept.

    Attributes:
        given: ids that follow the image, the prompt among them.
    """

    encoder = ("vision_model", "query_tokens", "qformer")
    projector = ("language_projection",)
    model_class = "Blip2ForConditionalGeneration"
    head = "language_model.lm_head"

    def __init__(
        self,
        network: Blip2ForConditionalGeneration,
        settings: ImageSettings,
        tokenizer: PreTrainedTokenizerBase,
        new: frozenset[str],
        base_code: str,
        prompt: str = "",
        visual_tokens: int | None = None,
    ) -> None:
        config: Blip2Config = network.config
        text = config.text_config
        self.prompt, self.encodes_text = prompt, bool(text.is_encoder_decoder)
        words = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        # As transformers' processor has them: T5's encoder ends its text, OPT begins it.
        self.given = [*words, int(text.eos_token_id)] if self.encodes_text else [int(text.bos_token_id), *words]
        ends = int(text.eos_token_id), int(text.pad_token_id)
        if self.encodes_text:  # its positions are relative: no caption is too long, but it never saw longer ones
            processor = HFProcessor(settings, tokenizer, text.n_positions, *ends)
        else:
            usable = text.max_position_embeddings - config.num_query_tokens - len(self.given) + 1
            processor = LineProcessor(settings, tokenizer, usable, *ends, lead=" " if words else "")
        super().__init__(network, settings, processor, new, base_code, grid=None, visual_tokens=visual_tokens)
        self.targets: Mapping[Part, tuple[str, ...]] = {
            "decoder": _TARGETS[text.model_type],
            "projector": self.projector,
            "tower": ("qkv", "query", "value"),
        }
        self.generation = GenerationConfig(
            bos_token_id=text.bos_token_id,
            eos_token_id=processor.end_token_id,
            pad_token_id=processor.pad_token_id,
            decoder_start_token_id=text.decoder_start_token_id if self.encodes_text else None,
        )

    @property
    def vision_config(self) -> dict[str, Any]:
        config = self.model.config
        queries = {"queries": config.num_query_tokens, "qformer": plain_config(config.qformer_config)}
        return {**queries, "vision": plain_config(config.vision_config)}

    def look(self, pixels: Tensor) -> Tensor:
        seen = last_hidden(self.model.vision_model, pixels)
        queries = self.model.query_tokens.expand(len(pixels), -1, -1)
        told: Tensor = self.model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        return told

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        # Padding is last and attention causal: no mask.
        language, given, real = self.model.language_model, self._given(features), attention_mask.bool()
        if self.encodes_text:
            start = input_ids.new_full((len(input_ids), 1), self.generation.decoder_start_token_id)
            shifted = torch.cat([start, input_ids[:, :-1]], dim=1)
            logits = language(inputs_embeds=given, decoder_input_ids=shifted, use_cache=False).logits[real]
        else:
            words = language.get_input_embeddings()(input_ids[:, :-1])
            output = language.base_model(inputs_embeds=torch.cat([given, words], dim=1), use_cache=False)
            hidden = output.last_hidden_state[:, given.shape[1] - 1 :]
            logits = language.lm_head(hidden[real])  # [real tokens, vocab]: none for padding
        return token_loss(logits, input_ids[real]), real.sum()

    def generate(
        self, features: Tensor, *, max_new_tokens: int, num_beams: int, given: Tensor | None = None
    ) -> list[str]:
        language, seen, said = self.model.language_model, self._given(features), {}
        count = 0 if given is None else given.shape[1]
        if given is not None and self.encodes_text:
            start = given.new_full((len(given), 1), self.generation.decoder_start_token_id)
            said = {"decoder_input_ids": torch.cat([start, given], dim=1)}
        elif given is not None:
            seen = torch.cat([seen, language.get_input_embeddings()(given)], dim=1)
        ids = language.generate(
            inputs_embeds=seen,
            attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            generation_config=self.generation,
            do_sample=False,
            max_new_tokens=min(max_new_tokens, self.processor.max_positions - 1 - count),
            num_beams=num_beams,
            **said,
        )
        # Of a decoder that was given embeddings only what is new comes back.
        return [self.processor.text(row) for row in ids[:, count + 1 if said else 0 :].tolist()]

    def example_code(self, folder: str) -> str:
        limit = min(128, self.processor.max_positions - 1)
        return _CAPTION.format(folder=folder, limit=limit, given=self.given, prompt=self.prompt)

    def save_settings(self, folder: Path) -> None:
        self.generation.save_pretrained(folder)
        super().save_settings(folder)

    def _given(self, features: Tensor) -> Tensor:
        """What the language model is given, as embeddings [batch, queries + ids, width]: the image, and the prompt."""
        ids = torch.tensor([self.given], device=features.device)
        words: Tensor = self.model.language_model.get_input_embeddings()(ids)
        image = self.model.language_projection(features).to(words.dtype)
        return torch.cat([image, words.expand(len(features), -1, -1)], dim=1)
