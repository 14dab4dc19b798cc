"""Small checkpoints in the formats that people have, with random weights."""

import json
import shutil
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, VisionEncoderDecoderModel, ViTConfig, ViTModel

from rococap.models.tiny import DIRECTORY

VIT = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 96}
PREPROCESSOR = {  # as ViTFeatureExtractor wrote it in 2021
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "ViTFeatureExtractor",
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "size": 224,
}


def tokenizer_files(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DIRECTORY / name, folder / name)


def gpt2_config(**settings) -> GPT2Config:
    vocabulary = json.loads((DIRECTORY / "config.json").read_text())["decoder"]["vocab_size"]
    return GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=2, n_positions=64, **settings)


def vit_directory(folder: Path) -> Path:
    ViTModel(ViTConfig(**VIT)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


def gpt2_directory(folder: Path) -> Path:
    GPT2LMHeadModel(gpt2_config()).save_pretrained(folder)
    tokenizer_files(folder)
    return folder


def directory_of_2021(folder: Path) -> tuple[Path, VisionEncoderDecoderModel]:
    """What nlpconnect/vit-gpt2-image-captioning holds: pytorch_model.bin by the names of its day, and old settings."""
    folder.mkdir()
    torch.manual_seed(1)
    encoder = ViTModel(ViTConfig(**(VIT | {"hidden_size": 32, "num_attention_heads": 2})), add_pooling_layer=False)
    model = VisionEncoderDecoderModel(
        encoder=encoder, decoder=GPT2LMHeadModel(gpt2_config(is_decoder=True, add_cross_attention=True))
    ).eval()
    state = {_name_of_2021(name): value for name, value in model.state_dict().items()}
    state |= {"encoder.pooler.dense.weight": torch.eye(32), "encoder.pooler.dense.bias": torch.zeros(32)}
    for layer in range(2):
        for attention in ("attn", "crossattention"):
            prefix = f"decoder.transformer.h.{layer}.{attention}"
            state[f"{prefix}.bias"] = torch.tril(torch.ones(1, 1, 64, 64, dtype=torch.uint8))
            state[f"{prefix}.masked_bias"] = torch.tensor(-1e4)
    torch.save(state, folder / "pytorch_model.bin")
    parts = {name: getattr(model, name).config.to_dict() for name in ("encoder", "decoder")}
    parts["decoder"] |= {"max_length": 20, "num_beams": 1, "add_cross_attention": True, "is_decoder": True}
    end = model.decoder.config.vocab_size - 1
    config = {
        "architectures": ["VisionEncoderDecoderModel"],
        "model_type": "vision-encoder-decoder",
        "is_encoder_decoder": True,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "max_length": 16,
        "num_beams": 4,
        "decoder_start_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        **parts,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    tokenizer_files(folder)
    return folder, model


def _name_of_2021(name: str) -> str:
    """transformers 5 renamed ViT's layers; `from_pretrained` reads both."""
    if not name.startswith("encoder.layers."):
        return name
    name = name.replace("encoder.layers.", "encoder.encoder.layer.")
    for new, old in (
        (".attention.q_proj.", ".attention.attention.query."),
        (".attention.k_proj.", ".attention.attention.key."),
        (".attention.v_proj.", ".attention.attention.value."),
        (".attention.o_proj.", ".attention.output.dense."),
        (".mlp.fc1.", ".intermediate.dense."),
        (".mlp.fc2.", ".output.dense."),
    ):
        name = name.replace(new, old)
    return name
