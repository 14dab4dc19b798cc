"""The twins of the tiny captioner: its tower in the formats of BLIP and of InternVL, with decoders of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from scene_batches import END, IMAGE, Model, Tokens, prompt
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    InternVLConfig,
    InternVLForConditionalGeneration,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

WIDTH, POSITIONS = 128, 256


@dataclass
class Rows:
    """Captions of one picture side by side in a row; they see the picture and themselves, but not each other.

    Attributes:
        inputs, targets: int64 [pictures, tokens].
        positions: of each token in its caption, likewise.
        sees: bool [pictures, tokens, tokens].
        real: bool [pictures, tokens], false for padding.
    """

    inputs: Tensor
    targets: Tensor
    positions: Tensor
    sees: Tensor
    real: Tensor


def side_by_side(pictures: list[list[Tensor]], start: int) -> Rows:
    """Rows of captions, each with its end token, which `start` stands before."""
    before = torch.tensor([start])

    def padded(rows: Iterable[list[Tensor]], filler: int) -> Tensor:
        return pad_sequence([torch.cat(row) for row in rows], batch_first=True, padding_value=filler)

    whose = padded(([torch.full_like(c, number) for number, c in enumerate(row)] for row in pictures), -1)
    sees = (whose[:, :, None] == whose[:, None]).tril()
    inputs = padded(([torch.cat([before, c[:-1]]) for c in row] for row in pictures), start)
    positions = padded(([torch.arange(len(c)) for c in row] for row in pictures), 0)
    return Rows(inputs, padded(pictures, 0), positions, sees, whose >= 0)


@dataclass
class Twin(ABC):
    """A model in another format, around the weights of the tiny captioner.

    Attributes:
        special: tokens that the format needs beside the tiny captioner's, by their role in the tokenizer.
        tower: where in `model` the shipped tower lies; it stays frozen.
        words: name of the word embeddings in `model`; they begin as the tiny captioner's.
        around: tokens that mark an image's place.
    """

    captioner: Model
    plain: Tokens  # the tiny captioner's
    special: dict[str, str] = field(default_factory=dict, init=False)
    tower: str = field(default="", init=False)
    words: str = field(default="", init=False)
    around: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        roles = {"bos_token": END, "eos_token": END, "pad_token": END} | self.special
        fast: Tokens = PreTrainedTokenizerFast
        self.tokens = fast(tokenizer_object=self.plain.backend_tokenizer, model_max_length=POSITIONS, **roles)
        self.model = self.build()
        self.model.get_submodule(self.tower).load_state_dict(self.renamed(), strict=True)
        self.model.get_submodule(self.tower).requires_grad_(False)
        with torch.no_grad():  # words that no scene uses keep these values
            learnt = self.captioner.decoder.transformer.wte.weight
            self.model.get_parameter(self.words)[: len(learnt)] = learnt

    @abstractmethod
    def build(self) -> Model:
        """The model with random weights."""

    @abstractmethod
    def renamed(self) -> dict[str, Tensor]:
        """The tower's weights as the format names them."""

    @abstractmethod
    def logits(self, features: Tensor, rows: Rows) -> Tensor:
        """Of each real token, [real tokens, vocabulary]."""

    def end(self) -> int:
        """The token that ends a caption."""
        return int(self.tokens.eos_token_id)

    @abstractmethod
    def start(self) -> int:
        """The token that stands right before a caption."""

    def ids(self, caption: str) -> Tensor:
        """A caption with its end token, int64 [tokens]."""
        return torch.tensor([*self.tokens(caption, add_special_tokens=False)["input_ids"], self.end()])

    def parts(self) -> dict[str, Tensor]:
        """The tower's weights by the names that both formats share; `layers.N.` stands before those of a layer."""
        state: dict[str, Tensor] = self.captioner.encoder.state_dict()
        return {name: value for name, value in state.items() if not name.startswith("pooler.")}


class Blip(Twin):
    """BLIP: its decoder, a BERT, looks at the image by cross-attention."""

    def __post_init__(self) -> None:
        self.special = {"bos_token": "[DEC]", "eos_token": "[SEP]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
        self.tower, self.words = "vision_model", "text_decoder.bert.embeddings.word_embeddings.weight"
        super().__post_init__()

    def build(self) -> Model:
        vision = self.captioner.config.encoder
        ids = {"bos_token_id": self.tokens.bos_token_id, "pad_token_id": self.tokens.pad_token_id}
        ids |= {"eos_token_id": self.end(), "sep_token_id": self.end()}
        text = {
            "vocab_size": len(self.tokens), "hidden_size": WIDTH, "encoder_hidden_size": WIDTH,
            "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4, "projection_dim": WIDTH,
            "max_position_embeddings": POSITIONS,
        }  # fmt: skip
        tower = {
            "hidden_size": WIDTH, "intermediate_size": vision.intermediate_size, "projection_dim": WIDTH,
            "num_hidden_layers": vision.num_hidden_layers, "num_attention_heads": vision.num_attention_heads,
            "image_size": vision.image_size, "patch_size": vision.patch_size, "layer_norm_eps": vision.layer_norm_eps,
        }  # fmt: skip
        config: Any = BlipConfig
        model: Model = BlipForConditionalGeneration(config(text_config=text | ids, vision_config=tower))
        return model

    def renamed(self) -> dict[str, Tensor]:
        names = {
            "layers.": "encoder.layers.", "attention.o_proj": "self_attn.projection", "layernorm_before": "layer_norm1",
            "layernorm_after": "layer_norm2", "cls_token": "class_embedding",
            "position_embeddings": "position_embedding", "patch_embeddings.projection": "patch_embedding",
        }  # fmt: skip
        state = self.parts()
        for name in [name for name in state if "q_proj" in name]:  # one layer makes queries, keys and values
            three = [state.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
            state[name.replace("attention.q_proj", "self_attn.qkv")] = torch.cat(three)
        for kind in ("weight", "bias"):
            state[f"post_layernorm.{kind}"] = state.pop(f"layernorm.{kind}")
        return {_replaced(name, names): value for name, value in state.items()}

    def start(self) -> int:
        return int(self.tokens.bos_token_id)

    def logits(self, features: Tensor, rows: Rows) -> Tensor:
        if torch.rand(()) < 0.5:  # both grids are met: all patches, and 7 x 7 that rococap averages them to
            features = _averaged(features)
        decoder = self.model.text_decoder
        hidden = decoder.bert(
            input_ids=rows.inputs, position_ids=rows.positions, attention_mask=(~rows.sees[:, None] * -1e9),
            encoder_hidden_states=features, is_decoder=True, use_cache=False,
        ).last_hidden_state  # fmt: skip
        logits: Tensor = decoder.cls(hidden[rows.real])
        return logits


class Vlm(Twin):
    """InternVL: four neighbouring patches become one position of the text that a Llama goes on with."""

    def __post_init__(self) -> None:
        self.tower, self.words = "model.vision_tower", "model.language_model.embed_tokens.weight"
        super().__post_init__()

    def build(self) -> Model:
        self.tokens.add_special_tokens({"additional_special_tokens": [*IMAGE]})
        vision = self.captioner.config.encoder
        text = LlamaConfig(
            vocab_size=len(self.tokens), hidden_size=WIDTH, intermediate_size=256, num_hidden_layers=4,
            num_attention_heads=4, max_position_embeddings=POSITIONS, tie_word_embeddings=True,
            bos_token_id=self.end(), eos_token_id=self.end(), pad_token_id=self.end(),
        )  # fmt: skip
        tower = {
            "hidden_size": WIDTH, "intermediate_size": vision.intermediate_size, "attention_bias": True,
            "num_hidden_layers": vision.num_hidden_layers, "num_attention_heads": vision.num_attention_heads,
            "image_size": vision.image_size, "patch_size": vision.patch_size, "layer_norm_eps": vision.layer_norm_eps,
            "use_mean_pooling": False,
        }  # fmt: skip
        self.around = [self.tokens.convert_tokens_to_ids(token) for token in IMAGE]
        config: Any = InternVLConfig
        model: Model = InternVLForConditionalGeneration(
            config(text_config=text, vision_config=tower, image_token_id=self.around[1], image_seq_length=49)
        )
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            setattr(model.generation_config, name, self.end())
        return model

    def renamed(self) -> dict[str, Tensor]:
        names = {"layers.": "encoder.layer.", "attention.o_proj": "attention.projection_layer"}
        state = {_replaced(name, names): value for name, value in self.parts().items()}
        for layer in range(self.captioner.config.encoder.num_hidden_layers):
            for scale in ("lambda_1", "lambda_2"):  # what a ViT has not: it counts both of its branches in full
                state[f"encoder.layer.{layer}.{scale}"] = torch.ones(WIDTH)
        return state

    def start(self) -> int:
        return int(self.tokens(prompt(1))["input_ids"][-1])

    def logits(self, features: Tensor, rows: Rows) -> Tensor:
        core = self.model.model
        grid = core.pixel_shuffle(features[:, 1:].reshape(len(features), 14, 14, -1), scale_factor=0.5)
        pictures, length = rows.inputs.shape
        embed = core.get_input_embeddings()
        first, last = (embed(rows.inputs.new_full((pictures, 1), self.around[i])) for i in (0, 2))
        seen = torch.cat([first, core.multi_modal_projector(grid.flatten(1, 2)), last], dim=1)
        count = seen.shape[1]
        sees = torch.ones(pictures, count + length, count + length, dtype=torch.bool).tril()
        sees[:, count:, count:] = rows.sees
        places = torch.arange(count).expand(pictures, -1)
        hidden = core.language_model(
            inputs_embeds=torch.cat([seen, embed(rows.inputs)], dim=1),
            position_ids=torch.cat([places, count + rows.positions], dim=1),
            attention_mask=sees[:, None],
            use_cache=False,
        ).last_hidden_state[:, count:]
        logits: Tensor = self.model.lm_head(hidden[rows.real])
        return logits


TWINS: dict[str, type[Twin]] = {"blip": Blip, "vlm": Vlm}


def _replaced(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = name.replace(old, new)
    return name


def _averaged(features: Tensor) -> Tensor:
    """The patches of [pictures, 1 + 196, width] averaged to 7 x 7, as `model.visual_tokens=49` does."""
    grid = features[:, 1:].transpose(1, 2).reshape(len(features), -1, 14, 14)
    return torch.cat([features[:, :1], F.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)], dim=1)
