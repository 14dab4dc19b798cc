"""Small BLIP-2s in the formats of Salesforce/blip2-opt-2.7b and -flan-t5-xl, and what transformers makes of them."""

import json
from pathlib import Path

import torch
from blip_checkpoints import PREPROCESSOR, VISION, stir
from checkpoints import tokenizer_files
from safetensors.torch import save_file
from transformers import Blip2Config, Blip2ForConditionalGeneration, PreTrainedTokenizerFast, T5Tokenizer

QUERIES = 4
QFORMER = {
    "model_type": "blip_2_qformer",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "encoder_hidden_size": 48,
    "cross_attention_frequency": 2,
    "vocab_size": 30,
}
OPT = {
    "model_type": "opt",
    "hidden_size": 48,
    "word_embed_proj_dim": 48,
    "ffn_dim": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 64,
    "dropout": 0.0,
    "do_layer_norm_before": True,
    "prefix": "</s>",
}
T5 = {
    "model_type": "t5",
    "d_model": 32,
    "d_kv": 16,
    "d_ff": 64,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 2,
    "feed_forward_proj": "gated-gelu",
    "dense_act_fn": "gelu",
    "is_gated_act": True,
    "is_encoder_decoder": True,
    "tie_word_embeddings": False,
    "decoder_start_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "n_positions": 512,
    "dropout_rate": 0.1,
}


def opt_tokenizer(folder: Path) -> dict:
    """A byte-level tokenizer as OPT has it; a caption ends with the end of the line, which is a plain token."""
    tokenizer_files(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="</s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.save_pretrained(folder)
    (line,) = tokenizer("\n", add_special_tokens=False)["input_ids"]
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": line, "pad_token_id": tokenizer.pad_token_id}
    return ids | {"vocab_size": len(tokenizer)}


def t5_tokenizer(folder: Path) -> dict:
    pieces = ["▁", *"abcdefghijklmnopqrstuvwxyz", "▁a", "▁ring", "▁and", "▁moon", "▁photo", "▁of"]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -2.0) for piece in pieces)]
    tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=0, additional_special_tokens=["<image>"])
    tokenizer.save_pretrained(folder)
    return {"vocab_size": len(tokenizer)}


def blip2_directory(folder: Path, text: dict, tokenizer) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = text | tokenizer(folder)
    config = {
        "architectures": ["Blip2ForConditionalGeneration"],
        "model_type": "blip-2",
        "num_query_tokens": QUERIES,
        "image_token_index": text["vocab_size"] - 1,
        "vision_config": VISION | {"model_type": "blip_2_vision_model", "qkv_bias": True},
        "qformer_config": QFORMER,
        "text_config": text,
        "tie_word_embeddings": False,
        "use_decoder_only_language_model": text["model_type"] == "opt",
        "torch_dtype": "float32",
    }
    torch.manual_seed(2)
    model = Blip2ForConditionalGeneration(Blip2Config.from_dict(dict(config)))
    stir(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    if text["model_type"] == "opt":
        torch.save(state, folder / "pytorch_model.bin")
    else:
        # Flan-T5's output layer is its own; transformers ties what is equal.
        state["language_model.lm_head.weight"] = torch.randn(text["vocab_size"], 32) * 0.2
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR | {"processor_class": "Blip2Processor"}))
    (folder / "processor_config.json").write_text(json.dumps({"num_query_tokens": QUERIES}))
    return folder


def make_blip2_opt(folder):
    return [str(blip2_directory(folder / "opt", OPT, opt_tokenizer))]


def make_blip2_t5(folder):
    return [str(blip2_directory(folder / "t5", T5, t5_tokenizer))]


def placeholders(captioner, rows):
    """The image's tokens and the prompt, as transformers' own processor writes them."""
    ids = [captioner.model.config.image_token_index] * QUERIES + captioner.given
    return torch.tensor([ids]).repeat(rows, 1)


def blip2_logits(captioner, pixels, labels):
    ids = placeholders(captioner, len(labels))
    if captioner.encodes_text:
        shifted = torch.cat([torch.zeros(len(labels), 1, dtype=torch.long), labels[:, :-1]], dim=1)
        return captioner.model(pixel_values=pixels, input_ids=ids, decoder_input_ids=shifted).logits
    whole = torch.cat([ids, labels[:, :-1]], dim=1)
    return captioner.model(pixel_values=pixels, input_ids=whole).logits[:, ids.shape[1] - 1 :]


def blip2_ids(captioner, pixels, **options):
    ids = placeholders(captioner, len(pixels))
    said = captioner.model.generate(
        pixel_values=pixels, input_ids=ids, generation_config=captioner.generation, do_sample=False, **options
    )
    return said if captioner.encodes_text else said[:, ids.shape[1] :]


BLIP2_REOPENED = """
ids = torch.cat([torch.full((1, 4), model.config.image_token_index), prompt], dim=1).repeat(len(labels), 1)
if model.config.text_config.is_encoder_decoder:
    shifted = torch.cat([torch.zeros(len(labels), 1, dtype=torch.long), labels[:, :-1]], dim=1)
    logits = model(pixel_values=pixel_values, input_ids=ids, decoder_input_ids=shifted).logits
else:
    whole = torch.cat([ids, labels[:, :-1]], dim=1)
    logits = model(pixel_values=pixel_values, input_ids=whole).logits[:, ids.shape[1] - 1 :]
"""
