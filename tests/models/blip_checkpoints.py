"""Small BLIPs in the format of Salesforce/blip-image-captioning-base, and what transformers makes of them."""

import json
from pathlib import Path

import torch
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PREPROCESSOR = {
    "do_normalize": True,
    "do_resize": True,
    "image_mean": CLIP_MEAN,
    "image_processor_type": "BlipImageProcessor",
    "image_std": CLIP_STD,
    "processor_class": "BlipProcessor",
    "resample": 3,
    "size": {"height": 32, "width": 32},
    "size_divisor": 32,
}
TEXT = {
    "model_type": "blip_text_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 48,
    "hidden_act": "gelu",
    "is_decoder": True,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "sep_token_id": 3,
    # Settings of `generate`, as files of 2022 carry them.
    "max_length": 20,
    "num_beams": 1,
    "torchscript": False,
}
VISION = {
    "model_type": "blip_vision_model",
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 32,
    "patch_size": 8,
    "num_channels": 3,
    # The published 1e-10 leaves class and positions at zero until they are trained.
    "initializer_range": 0.02,
}


def wordpieces(folder: Path) -> int:
    """Write a tokenizer as BERT has it, and give its size; [DEC] and [ENC] are not in it, as in the published one."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    words += ["a", "ring", "and", "moon", "picture", "of"][1:]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"), do_lower_case=True)
    tokenizer.save_pretrained(folder)
    return len(words)


@torch.no_grad()
def stir(model) -> None:
    """Large random weights, with which each image gets another caption: small ones say the same of all."""
    for name, parameter in model.named_parameters():
        if "norm" not in name.lower():
            parameter.normal_(std=0.3 if parameter.dim() > 1 else 0.1)


def blip_directory(folder: Path) -> Path:
    """`pytorch_model.bin` with the buffers of its day."""
    folder.mkdir(parents=True, exist_ok=True)
    size = wordpieces(folder)
    text = TEXT | {"vocab_size": size + 2, "bos_token_id": size}
    config = {"architectures": ["BlipForConditionalGeneration"], "model_type": "blip", "projection_dim": 16}
    config |= {"text_config": text, "vision_config": VISION, "torch_dtype": "float32", "transformers_version": None}
    torch.manual_seed(2)
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=VISION))
    stir(model)
    state = model.state_dict() | {"text_decoder.bert.embeddings.position_ids": torch.arange(48)[None]}
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


def make_blip(folder):
    return [str(blip_directory(folder / "whole"))]


def blip_logits(captioner, pixels, labels):
    start = torch.tensor([captioner.start]).expand(len(labels), -1)
    ids = torch.cat([start, labels[:, :-1]], dim=1)
    return captioner.model(pixel_values=pixels, input_ids=ids).logits[:, len(captioner.start) - 1 :]


def blip_ids(captioner, pixels, **options):
    ids = torch.tensor([[*captioner.start, 0]]).repeat(len(pixels), 1)
    said = captioner.model.generate(
        pixel_values=pixels, input_ids=ids, generation_config=captioner.generation, do_sample=False, **options
    )
    return said[:, len(captioner.start) :]


BLIP_REOPENED = """
start = torch.cat([torch.full((1, 1), settings.bos_token_id), prompt[:, 1:-1]], dim=1)
ids = torch.cat([start.expand(len(labels), -1), labels[:, :-1]], dim=1)
logits = model(pixel_values=pixel_values, input_ids=ids).logits[:, start.shape[1] - 1 :]
"""
