"""A vision tower and a text decoder joined by cross-attention: Hugging Face's VisionEncoderDecoderModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    VisionEncoderDecoderModel,
)
from transformers.modeling_outputs import BaseModelOutput

from rococap.models.attention import watched
from rococap.models.base import Captioner, token_loss
from rococap.models.hub import load, load_config, load_image_settings, load_tokenizer, place, without_generation
from rococap.models.loading import Loading, finish_loading
from rococap.models.network import Part
from rococap.models.patches import pooled_grid
from rococap.models.processor import HFProcessor, ImageSettings
from rococap.models.towers import TARGETS, grid_of, last_hidden, load_tower, plain_config, pooling_code, require_size
from rococap.types import UserError

_WHOLE = """\
import torch
import transformers

base = transformers.VisionEncoderDecoderModel.from_pretrained({path!r}, {loading})
"""
_PARTS = """\
import torch
import transformers

{encoder}
config = transformers.AutoConfig.from_pretrained({decoder!r})
config.is_decoder, config.add_cross_attention = True, True
decoder = transformers.AutoModelForCausalLM.from_pretrained({decoder!r}, config=config, {loading})
# The adapter brings the new cross-attention.
base = transformers.VisionEncoderDecoderModel(encoder=encoder, decoder=decoder)
"""
_CAPTION = """\
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, GenerationConfig

tokenizer = AutoTokenizer.from_pretrained("{folder}")
processor = AutoImageProcessor.from_pretrained("{folder}")
settings = GenerationConfig.from_pretrained("{folder}", max_new_tokens={limit})
pixel_values = processor(Image.open("IMAGE").convert("RGB"), return_tensors="pt").pixel_values
with torch.no_grad():
    ids = model.generate(pixel_values=pixel_values, generation_config=settings, num_beams=1, do_sample=False)
print(tokenizer.decode(ids[0], skip_special_tokens=True))
"""
# Decoders whose cross-attention sees the image, by model_type: the module that makes logits, and LoRA's usual targets.
# Others build too, and some of them, such as BioGPT, ignore the image without a word.
_HEAD = {"gpt2": "lm_head", "bert": "cls", "roberta": "lm_head"}
_TARGETS = {"gpt2": ("c_attn", "c_proj"), "bert": ("query", "value"), "roberta": ("query", "value")}
DECODERS = tuple(_HEAD)
_ENDS = ("eos_token", "sep_token")  # BERT's captions end with the second
_CROSS = r".*\.(?:crossattention|ln_cross_attn)"  # what a language model lacks


def published(path: str, visual_tokens: int | None = None, loading: Loading = Loading()) -> ViTGPT2:
    """A captioner that was published whole, such as nlpconnect/vit-gpt2-image-captioning.

    Args:
        path: a name on the Hugging Face hub, or a directory.
        visual_tokens: patches that the decoder sees, a square number such as 49: the tower's grid is averaged down to
            it. None leaves the grid as it is (196 at 224 pixels and patches of 16).

    Raises:
        UserError: not a VisionEncoderDecoder checkpoint, or the hub cannot be reached.
    """
    config = load_config(path, ("vision-encoder-decoder",))
    _require_decoder(config.decoder, f"model.path={path}")
    keep = ("encoder", "enc_to_dec_proj", f"decoder.{_HEAD[config.decoder.model_type]}")
    read = without_generation(config, config.encoder, config.decoder)
    settings, tokenizer = load_image_settings(path), load_tokenizer(path, ends=_ENDS)
    require_size(config.encoder, settings, path)
    grid = grid_of(config.encoder, settings.size)
    pooled_grid(grid, visual_tokens)
    model, new = load(VisionEncoderDecoderModel, path, loading, keep, config=read)
    if hasattr(model.encoder, "pooler"):
        model.encoder.pooler = None  # nothing reads it: it would train on no gradient
    new = frozenset(name for name in new if not name.startswith("encoder.pooler."))
    code = _WHOLE.format(path=place(path), loading=loading.code(keep)) + loading.finishing
    return ViTGPT2(model, settings, tokenizer, new, code, grid, visual_tokens)


def fresh(
    encoder: str,
    decoder: str,
    visual_tokens: int | None = None,
    loading: Loading = Loading(),
) -> ViTGPT2:
    """A vision tower and a language model put together. What joins them has random values and must be trained in full.

    Args:
        encoder: a ViT, DINOv2 or 3, CLIP, BiomedCLIP, SigLIP or Swin on the hub or in a directory.
        decoder: a GPT-2, BERT or RoBERTa with its tokenizer, on the hub or in a directory.
        visual_tokens: see `published`.

    Raises:
        UserError: one of them is no such checkpoint, or the hub cannot be reached.
    """
    config = load_config(decoder, setting="model.decoder")
    _require_decoder(config, f"model.decoder={decoder}")
    tokenizer = load_tokenizer(decoder, ends=_ENDS)
    vision = load_tower(encoder, loading, visual_tokens=visual_tokens)
    config.is_decoder, config.add_cross_attention = True, True
    keep = (_CROSS, _HEAD[config.model_type])
    language, new_language = load(AutoModelForCausalLM, decoder, loading, keep, config=config)
    model = VisionEncoderDecoderModel(encoder=vision.module, decoder=language)
    new = {f"encoder.{name}" for name in vision.new} | {f"decoder.{name}" for name in new_language}
    new |= {name for name, _ in model.named_parameters() if name.startswith("enc_to_dec_proj.")}
    finish_loading(model, loading)
    code = _PARTS.format(encoder=vision.code, decoder=place(decoder), loading=loading.code(keep)) + loading.finishing
    captioner = ViTGPT2(model, vision.settings, tokenizer, frozenset(new), code, vision.grid, visual_tokens)
    captioner.unused = tuple(f"encoder.{name}" for name in vision.unused)
    return captioner


def _require_decoder(config: PretrainedConfig, where: str) -> None:
    if config.model_type not in DECODERS:
        raise UserError(
            f"{where}: a decoder of type {config.model_type} is not known to look at the image; those that do are "
            f"{', '.join(DECODERS)}.\nTo join a vision tower to a Llama-like language model: model=prefix"
        )


class ViTGPT2(Captioner):
    """A VisionEncoderDecoderModel behind the three verbs."""

    encoder = ("encoder",)
    projector = ("enc_to_dec_proj",)
    model_class = "VisionEncoderDecoderModel"

    def __init__(
        self,
        network: VisionEncoderDecoderModel,
        settings: ImageSettings,
        tokenizer: PreTrainedTokenizerBase,
        new: frozenset[str],
        base_code: str,
        grid: tuple[int, int],
        visual_tokens: int | None = None,
    ) -> None:
        # Old checkpoints keep the start token in the config, newer ones in the generation config.
        starts = [getattr(c, "decoder_start_token_id", None) for c in (network.config, network.generation_config)]
        end = _first(tokenizer.eos_token_id, tokenizer.sep_token_id)
        pad = _first(tokenizer.pad_token_id, end)
        config = network.config.decoder
        positions = config.n_positions if config.model_type == "gpt2" else config.max_position_embeddings
        # RoBERTa counts positions from its pad token's number on.
        usable = positions - (config.pad_token_id + 1 if config.model_type == "roberta" else 0)
        processor = HFProcessor(settings, tokenizer, usable, int(end), int(pad))
        super().__init__(network, settings, processor, new, base_code, grid=grid, visual_tokens=visual_tokens)
        kind = config.model_type
        self.head = f"decoder.{_HEAD[kind]}"
        self.targets: Mapping[Part, tuple[str, ...]] = {"decoder": _TARGETS[kind], "tower": TARGETS}
        if self.grid is not None and self.grid != self.full_grid:
            self.opening_code = pooling_code("encoder", grid, self.grid)
        self.start_token_id = int(_first(*starts, tokenizer.bos_token_id, tokenizer.cls_token_id, end))
        self.generation = GenerationConfig(
            decoder_start_token_id=self.start_token_id,
            bos_token_id=self.start_token_id,
            eos_token_id=processor.end_token_id,
            pad_token_id=processor.pad_token_id,
        )

    @property
    def vision_config(self) -> dict[str, Any]:
        return plain_config(self.model.config.encoder)

    def look(self, pixels: Tensor) -> Tensor:
        return last_hidden(self.model.encoder, pixels)

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._decode(features, input_ids).last_hidden_state  # [batch, tokens, width]
        real = attention_mask.bool()
        logits = self.model.get_submodule(self.head)(hidden[real])  # [real tokens, vocab]: none for padding
        return token_loss(logits, input_ids[real]), real.sum()

    def generate(
        self, features: Tensor, *, max_new_tokens: int, num_beams: int, given: Tensor | None = None
    ) -> list[str]:
        # The decoder has no positions beyond its last: past them it would fail, not stop.
        start = torch.full((len(features), 1), self.start_token_id, device=features.device)
        start = start if given is None else torch.cat([start, given], dim=1)
        limit = min(max_new_tokens, self.processor.max_positions - start.shape[1])
        ids = self.model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=features),
            decoder_input_ids=start,
            decoder_attention_mask=torch.ones_like(start),
            generation_config=self.generation,
            do_sample=False,
            max_new_tokens=limit,
            num_beams=num_beams,
        )
        return [self.processor.text(row) for row in ids[:, 0 if given is None else start.shape[1] :].tolist()]

    def attend(self, features: Tensor, captions: list[str]) -> Tensor:
        rows = [torch.tensor(self.processor.tokens(c, self.processor.max_positions)[0]) for c in captions]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.processor.pad_token_id)
        named = self.model.decoder.named_modules()
        cross = [module for name, module in named if name.endswith(("crossattention", "crossattention.self"))]
        shown = [module for module in cross if hasattr(module, "config")]
        with torch.no_grad(), watched(shown) as layers:
            self._decode(features, ids.to(features.device))
        maps = torch.stack(layers).float().mean(dim=(0, 2))  # [batch, tokens, positions]
        assert self.grid is not None
        return maps[:, :, -self.grid[0] * self.grid[1] :]

    def example_code(self, folder: str) -> str:
        return _CAPTION.format(folder=folder, limit=min(128, self.processor.max_positions - 1))

    def save_settings(self, folder: Path) -> None:
        self.generation.save_pretrained(folder)
        super().save_settings(folder)

    def _decode(self, features: Tensor, input_ids: Tensor) -> BaseModelOutput:
        """The decoder over captions shifted right by the start token. Padding is last and attention causal: no mask."""
        model = self.model
        start = input_ids.new_full((len(input_ids), 1), self.start_token_id)
        context = model.enc_to_dec_proj(features) if hasattr(model, "enc_to_dec_proj") else features
        return model.decoder.base_model(
            input_ids=torch.cat([start, input_ids[:, :-1]], dim=1),
            encoder_hidden_states=context,
            use_cache=False,
        )


def _first(*values: Any) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)
