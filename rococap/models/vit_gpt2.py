"""ViT encoder and GPT-2 decoder, joined by cross-attention: Hugging Face's VisionEncoderDecoderModel."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedTokenizerBase, VisionEncoderDecoderModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

from rococap.models.base import Captioner
from rococap.models.hub import load_gpt2, load_image_settings, load_tokenizer, load_vit, load_whole, place
from rococap.models.processor import HFProcessor, ImageSettings
from rococap.types import UserError

_WHOLE = """\
import torch
from transformers import VisionEncoderDecoderModel

base = VisionEncoderDecoderModel.from_pretrained({path!r}, dtype=torch.float32)
"""
_PARTS = """\
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, VisionEncoderDecoderModel

encoder = AutoModel.from_pretrained({encoder!r}, add_pooling_layer=False, dtype=torch.float32)
config = AutoConfig.from_pretrained({decoder!r})
config.is_decoder, config.add_cross_attention = True, True
decoder = AutoModelForCausalLM.from_pretrained({decoder!r}, config=config, dtype=torch.float32)
base = VisionEncoderDecoderModel(encoder=encoder, decoder=decoder)  # the adapter brings the new cross-attention
"""


_POOLING = """


def pool(encoder, arguments, output):
    grid = output.last_hidden_state[:, 1:].transpose(1, 2).unflatten(2, ({side}, {side}))
    grid = torch.nn.functional.adaptive_avg_pool2d(grid, {to}).flatten(2).transpose(1, 2)
    output.last_hidden_state = torch.cat([output.last_hidden_state[:, :1], grid], dim=1)


model.encoder.register_forward_hook(pool)  # as it was trained: fewer visual tokens
"""


def published(path: str, visual_tokens: int | None = None) -> ViTGPT2:
    """A captioner that was published whole, such as nlpconnect/vit-gpt2-image-captioning.

    Args:
        path: a name on the Hugging Face hub, or a directory.
        visual_tokens: patches that the decoder sees, a square number such as 49: the tower's grid is averaged down to
            it. None leaves the grid as it is (196 at 224 pixels and patches of 16).

    Raises:
        UserError: not a VisionEncoderDecoder checkpoint, or the hub cannot be reached.
    """
    model, new = load_whole(path)
    code = _WHOLE.format(path=place(path))
    return ViTGPT2(model, load_image_settings(path), load_tokenizer(path), new, code, visual_tokens)


def fresh(encoder: str, decoder: str, visual_tokens: int | None = None) -> ViTGPT2:
    """Any ViT and any GPT-2 put together. What joins them has random values and must be trained in full.

    Args:
        encoder: a ViT on the hub or in a directory.
        decoder: a GPT-2 with its tokenizer, on the hub or in a directory.
        visual_tokens: see `published`.

    Raises:
        UserError: one of them is no such checkpoint, or the hub cannot be reached.
    """
    vision, new_vision = load_vit(encoder)
    language, new_language = load_gpt2(decoder)
    model = VisionEncoderDecoderModel(encoder=vision, decoder=language)
    new = {f"encoder.{name}" for name in new_vision} | {f"decoder.{name}" for name in new_language}
    new |= {name for name, _ in model.named_parameters() if name.startswith("enc_to_dec_proj.")}
    code = _PARTS.format(encoder=place(encoder), decoder=place(decoder))
    return ViTGPT2(model, load_image_settings(encoder), load_tokenizer(decoder), frozenset(new), code, visual_tokens)


def pooled_side(side: int, visual_tokens: int | None) -> int:
    """Height and width of the pooled grid; raises UserError unless it is a square that fits into `side` x `side`."""
    if visual_tokens is None:
        return side
    to = math.isqrt(max(visual_tokens, 0))
    if to * to != visual_tokens or not 1 <= to <= side:
        squares = ", ".join(str(n * n) for n in range(side, 0, -1) if side % n == 0)
        raise UserError(
            f"model.visual_tokens={visual_tokens}: the vision tower gives {side} x {side} patches.\n"
            f"Take one of {squares}."
        )
    return to


def pooled(features: Tensor, side: int, to: int) -> Tensor:
    """Average the patches of `[batch, 1 + side * side, width]` to a grid of `to` x `to`; the class token stays."""
    grid = features[:, 1:].transpose(1, 2).reshape(len(features), -1, side, side)
    patches = functional.adaptive_avg_pool2d(grid, to).flatten(2).transpose(1, 2)
    return torch.cat([features[:, :1], patches], dim=1)


class ViTGPT2(Captioner):
    """A VisionEncoderDecoderModel behind the three verbs."""

    processor: HFProcessor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: VisionEncoderDecoderModel,
        settings: ImageSettings,
        tokenizer: PreTrainedTokenizerBase,
        new: frozenset[str],
        base_code: str,
        visual_tokens: int | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.processor = HFProcessor(settings.size, settings.resample, tokenizer, network.config.decoder.n_positions)
        self.new = new
        self.side = math.isqrt(network.config.encoder.image_size**2 // network.config.encoder.patch_size**2)
        self.pooled_side = pooled_side(self.side, visual_tokens)
        self.base_code = base_code
        self.opening_code = _POOLING.format(side=self.side, to=self.pooled_side) if self._pools else ""
        # Old checkpoints keep the start token in the config, newer ones in the generation config.
        starts = [getattr(c, "decoder_start_token_id", None) for c in (network.config, network.generation_config)]
        end = tokenizer.eos_token_id
        self.start_token_id = int(next(i for i in (*starts, tokenizer.bos_token_id, end) if i is not None))
        self.generation = GenerationConfig(
            decoder_start_token_id=self.start_token_id,
            bos_token_id=self.start_token_id,
            eos_token_id=end,
            pad_token_id=self.processor.pad_token_id,
        )
        # Buffers, so that they follow the model to its device; scaling by 1/255 is folded into them.
        for name in ("mean", "std"):
            value = torch.tensor(getattr(settings, name)) / settings.scale
            self.register_buffer(name, value[:, None, None], persistent=False)

    @property
    def model(self) -> VisionEncoderDecoderModel:
        """The VisionEncoderDecoderModel itself, whether or not PEFT is around it."""
        inner = self.network.get_base_model() if hasattr(self.network, "get_base_model") else self.network
        return inner

    @property
    def tower(self) -> nn.Module:
        encoder: nn.Module = self.model.encoder
        return encoder

    @property
    def encoding(self) -> dict[str, Any]:
        config = json.loads(self.model.config.encoder.to_json_string(use_diff=False))
        normalising = {"scale": self.settings.scale, "mean": self.settings.mean, "std": self.settings.std}
        return {"config": config, **normalising, "side": self.pooled_side}

    @property
    def features_shape(self) -> tuple[int, int]:
        return 1 + self.pooled_side**2, self.model.config.encoder.hidden_size

    def encode(self, pixel_values: Tensor) -> Tensor:
        pixels = (pixel_values.float() - self.mean) / self.std
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tower_trains):
            features: Tensor = self.tower(pixel_values=pixels).last_hidden_state
        return pooled(features, self.side, self.pooled_side) if self._pools else features

    @property
    def _pools(self) -> bool:
        return self.pooled_side != self.side

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._decode(features, input_ids).last_hidden_state  # [batch, tokens, width]
        real = attention_mask.bool()
        logits = self.model.decoder.lm_head(hidden[real])  # [real tokens, vocab]: none for padding
        loss = functional.cross_entropy(logits.float(), input_ids[real], reduction="sum")
        return loss, real.sum()

    def generate(self, features: Tensor, *, max_new_tokens: int, num_beams: int) -> list[str]:
        # GPT-2 has no positions beyond n_positions: past them it would fail, not stop.
        limit = min(max_new_tokens, self.processor.max_positions - 1)
        start = torch.full((len(features), 1), self.start_token_id, device=features.device)
        ids = self.model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=features),
            decoder_input_ids=start,
            decoder_attention_mask=torch.ones_like(start),
            generation_config=self.generation,
            do_sample=False,
            max_new_tokens=limit,
            num_beams=num_beams,
        )
        return [self.processor.text(row) for row in ids.tolist()]

    def attend(self, features: Tensor, captions: list[str]) -> Tensor:
        rows = [torch.tensor(self.processor.tokens(c, self.processor.max_positions)[0]) for c in captions]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.processor.pad_token_id)
        with torch.no_grad(), self._cross_attentions() as layers:
            self._decode(features, ids.to(features.device))
        maps = torch.stack(layers).float().mean(dim=(0, 2))  # [batch, tokens, positions]
        return maps[:, :, 1:]  # the first position is ViT's class token

    def save_network(self, folder: Path) -> None:
        self.model.save_pretrained(folder)

    def save_settings(self, folder: Path) -> None:
        self.generation.save_pretrained(folder)
        self.processor.tokenizer.save_pretrained(folder)
        self.settings.save(folder)

    def _decode(self, features: Tensor, input_ids: Tensor) -> BaseModelOutput:
        """GPT-2 over captions shifted right by the start token. Padding comes last and attention is causal: no mask."""
        model = self.model
        start = input_ids.new_full((len(input_ids), 1), self.start_token_id)
        context = model.enc_to_dec_proj(features) if hasattr(model, "enc_to_dec_proj") else features
        return model.decoder.transformer(
            input_ids=torch.cat([start, input_ids[:, :-1]], dim=1),
            encoder_hidden_states=context,
            use_cache=False,
        )

    @contextmanager
    def _cross_attentions(self) -> Iterator[list[Tensor]]:
        """Collect each layer's weights [batch, heads, tokens, positions] while GPT-2 runs.

        sdpa shows none, so it is eager meanwhile. Layer by layer, since a layer that PEFT trains in full is a copy
        with a config of its own, which neither transformers' recorder nor `set_attn_implementation` reaches.
        """
        layers: list[Tensor] = []
        decoder = self.model.decoder
        cross = [m for m in decoder.modules() if isinstance(m, GPT2Attention) and m.is_cross_attention]
        usual = decoder.config._attn_implementation
        hooks = [m.register_forward_hook(lambda _module, _inputs, output: layers.append(output[1])) for m in cross]
        for module in cross:
            module.config._attn_implementation = "eager"
        try:
            yield layers
        finally:
            for module, hook in zip(cross, hooks, strict=True):
                module.config._attn_implementation = usual
                hook.remove()
