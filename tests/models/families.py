"""Every family of architectures as the conformance test wants it: a small checkpoint in the published format, and what
transformers itself makes of it. A new architecture is under that test by being listed here."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import image_text
import image_text_runs as runs
import llava_med_checkpoints
import torch
from blip2_checkpoints import BLIP2_REOPENED, blip2_ids, blip2_logits, make_blip2_opt, make_blip2_t5
from blip_checkpoints import BLIP_REOPENED, blip_ids, blip_logits, make_blip
from checkpoints import PREPROCESSOR, directory_of_2021, gpt2_directory, tokenizer_files, vit_directory
from internvl_checkpoints import internvl
from open_clip_checkpoints import biomedclip_directory
from torch.nn import functional
from transformers import (
    BertConfig,
    BertLMHeadModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
    SwinConfig,
    SwinModel,
)

from rococap.models import blip, blip2
from rococap.models.llava_med import llava_med
from rococap.models.prefix import prefix
from rococap.models.vit_gpt2 import fresh, published
from rococap.models.vlm import vlm


@dataclass(frozen=True)
class Family:
    """How one family is made, opened, and run without rococap.

    Attributes:
        make: writes a checkpoint, or several, into a folder and gives the arguments of `open`.
        open: from these arguments and `loading=` to a captioner.
        logits: from a captioner, normalised pixels and labels to logits [batch, tokens, vocab] by transformers' own
            forward of the whole model.
        ids: from a captioner, pixels and options of `generate` to tokens, by transformers' own generate.
        reopened: lines that give `logits` of `model`, opened by an exported README, for `pixel_values` and `labels`.
    """

    make: Callable
    open: Callable
    logits: Callable
    ids: Callable
    reopened: str
    blind_at_first: bool = False  # what joins is new and starts at zero
    quantised: bool = True
    squared: Callable | None = None  # its image processor keeps proportions and cuts patches: whole again by this
    pools: bool = True  # the grid of its visual tokens can be averaged


def shifted(captioner, labels):
    start = torch.full((len(labels), 1), captioner.start_token_id)
    return torch.cat([start, labels[:, :-1]], dim=1)


def joint_logits(captioner, pixels, labels):
    return captioner.model(pixel_values=pixels, decoder_input_ids=shifted(captioner, labels)).logits


def joint_ids(captioner, pixels, **options):
    start = torch.full((len(pixels), 1), captioner.start_token_id)
    return captioner.model.generate(
        pixel_values=pixels, decoder_input_ids=start, generation_config=captioner.generation, do_sample=False, **options
    )


JOINT = """
start = torch.full((len(labels), 1), settings.decoder_start_token_id)
logits = model(pixel_values=pixel_values, decoder_input_ids=torch.cat([start, labels[:, :-1]], dim=1)).logits
"""


def of_2021(folder):
    return [str(directory_of_2021(folder / "whole")[0])]


def joined(tower, decoder=gpt2_directory):
    def make(folder):
        for name in ("tower", "decoder"):
            (folder / name).mkdir()
        return [str(tower(folder / "tower")), str(decoder(folder / "decoder"))]

    return make


def tower_directory(model, size=32, **settings):
    """Of a tower whose image processor resizes or crops to so many pixels."""

    def make(folder):
        torch.manual_seed(3)
        model().save_pretrained(folder)
        content = PREPROCESSOR | {"size": size, "image_processor_type": "ViTImageProcessor"} | settings
        (folder / "preprocessor_config.json").write_text(json.dumps(content))
        return folder

    return make


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
WIDE = SMALL | {"intermediate_size": 64}
CROP = {"do_center_crop": True, "crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 36}, "resample": 3}
TOWERS = {
    "vit": vit_directory,
    "dinov2": tower_directory(lambda: Dinov2Model(Dinov2Config(**SMALL)), **CROP),
    "registers": tower_directory(lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SMALL)), **CROP),
    "dinov3": tower_directory(
        lambda: DINOv3ViTModel(DINOv3ViTConfig(**WIDE, num_register_tokens=4)),
        {"height": 32, "width": 32},
        image_processor_type="DINOv3ViTImageProcessorFast",
        **dict.fromkeys(("crop_size", "do_center_crop", "do_convert_rgb", "input_data_format")),
    ),
    "clip": tower_directory(lambda: CLIPVisionModel(CLIPVisionConfig(**WIDE)), **CROP),
    "biomedclip": biomedclip_directory,
    "siglip": tower_directory(lambda: SiglipVisionModel(SiglipVisionConfig(**WIDE))),
    "swin": tower_directory(
        lambda: SwinModel(
            SwinConfig(image_size=32, patch_size=2, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4)
        )
    ),
}


def bert_tokenizer(folder: Path, cls: str, sep: str, pad: str) -> PreTrainedTokenizerFast:
    """The shipped tokenizer with BERT's or RoBERTa's special tokens beside its own."""
    tokenizer_files(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), cls_token=cls, sep_token=sep, pad_token=pad
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def bert_directory(folder):
    tokenizer = bert_tokenizer(folder, "[CLS]", "[SEP]", "[PAD]")
    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, **_text(), pad_token_id=tokenizer.pad_token_id
    )
    BertLMHeadModel(config).save_pretrained(folder)
    return folder


def roberta_directory(folder):
    tokenizer = bert_tokenizer(folder, "<s>", "</s>", "<pad>")
    torch.manual_seed(4)
    config = RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, **_text(), pad_token_id=1)
    RobertaForCausalLM(config).save_pretrained(folder)
    return folder


def _text():
    return {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def image_text_family(make, given=runs.as_they_are, reopened=runs.REOPENED, open=vlm, **settings):
    return Family(make, open, runs.whole_logits(given), runs.whole_ids(given), reopened, **settings)


FAMILIES = {
    "vit_gpt2": Family(of_2021, published, joint_logits, joint_ids, JOINT),
    **{
        f"{name} + gpt2": Family(joined(tower), fresh, joint_logits, joint_ids, JOINT) for name, tower in TOWERS.items()
    },
    "vit + bert": Family(joined(vit_directory, bert_directory), fresh, joint_logits, joint_ids, JOINT),
    "vit + roberta": Family(joined(vit_directory, roberta_directory), fresh, joint_logits, joint_ids, JOINT),
    "blip": Family(make_blip, blip.published, blip_logits, blip_ids, BLIP_REOPENED),
    "blip with a prompt": Family(
        make_blip, partial(blip.published, prompt="a picture of"), blip_logits, blip_ids, BLIP_REOPENED
    ),
    "blip2 with opt": Family(
        make_blip2_opt, partial(blip2.published, prompt="a photo of"), blip2_logits, blip2_ids, BLIP2_REOPENED
    ),
    "blip2 with t5": Family(
        make_blip2_t5, partial(blip2.published, prompt="a photo of"), blip2_logits, blip2_ids, BLIP2_REOPENED
    ),
    "llava": image_text_family(image_text.LLAVA),
    "llava with siglip": image_text_family(image_text.LLAVA_SIGLIP),
    "llava_med": image_text_family(llava_med_checkpoints.llava_med, open=llava_med),
    "llava_med by name": image_text_family(llava_med_checkpoints.llava_med_by_name, open=llava_med),
    **{
        f"{tower} before {name}": image_text_family(joined(TOWERS[tower], decoder), open=prefix)
        for tower, name, decoder in (
            ("vit", "llama", image_text.LLAMA),
            ("clip", "mistral", image_text.MISTRAL),
            ("siglip", "qwen2", image_text.QWEN2),
            ("registers", "qwen3", image_text.QWEN3),
            ("swin", "llama", image_text.LLAMA),
        )
    },
    "paligemma": image_text_family(image_text.paligemma, runs.paligemma_given, runs.PALIGEMMA_REOPENED),
    "gemma3": image_text_family(image_text.gemma3, runs.gemma3_given, runs.PADDED),
    "smolvlm": image_text_family(image_text.SMOLVLM, runs.tiled_given),
    "internvl": image_text_family(internvl),
    "idefics3": image_text_family(image_text.IDEFICS3, runs.tiled_given),
    **{
        name: image_text_family(
            make,
            runs.qwen_given,
            runs.PADDED,
            partial(vlm, image_size=32),
            squared=runs.qwen_whole,
            pools=False,
        )
        for name, make in (
            ("qwen2_vl", image_text.QWEN2_VL),
            ("qwen2_5_vl", image_text.QWEN2_5_VL),
            ("qwen3_vl", image_text.QWEN3_VL),
            ("qwen3_vl_moe", image_text.QWEN3_VL_MOE),
            ("qwen3_5", image_text.QWEN3_5),
        )
    },
}

# They share their code with others that stay: what breaks them breaks those too, but for a checkpoint's form.
ALIKE = {"registers + gpt2", "clip + gpt2", "vit + roberta", "llava with siglip", "llava_med by name", "idefics3"}
ALIKE |= {"clip before mistral", "registers before qwen3", "swin before llama", "qwen2_5_vl", "qwen3_vl_moe"}


def loss_of(logits, labels, mask):
    """Summed cross-entropy over real tokens."""
    each = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")
    return (each * mask.flatten()).sum()
