"""Tiny encoders with seeded weights: the same in any version of transformers that opens them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel, DebertaConfig, DebertaModel, RobertaConfig, RobertaModel

WORDS = ["a", "axial", "ct", "mri", "of", "the", "head", "chest", "knee", "shows", "number", "mass", "arrow", "left"]
SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 48}
KINDS = ("bert", "roberta", "deberta")


def build(folder: Path, kind: str) -> Path:
    """Write an encoder of a kind into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _word_pieces(folder) if kind == "bert" else _byte_pieces(folder, kind)
    sizes = {**SIZES, "vocab_size": vocabulary, "max_position_embeddings": 66}
    match kind:
        case "bert":
            network = BertModel(BertConfig(**sizes))
        case "roberta":
            network = RobertaModel(RobertaConfig(**sizes, pad_token_id=1, bos_token_id=0, eos_token_id=2))
        case "deberta":  # positions as deberta-xlarge-mnli has them
            positions = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
            network = DebertaModel(DebertaConfig(**sizes, **positions, type_vocab_size=0, pad_token_id=1))
    draw = np.random.default_rng(0)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            values = draw.normal(1 if "LayerNorm.weight" in name else 0, 0.3, parameter.shape)
            parameter.copy_(torch.from_numpy(values).float())
    network.save_pretrained(folder)
    return folder


def _word_pieces(folder: Path) -> int:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(w for w in letters if w not in WORDS)]
    pieces += [f"##{letter}" for letter in letters]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(pieces)


def _byte_pieces(folder: Path, kind: str) -> int:
    special = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    if kind == "deberta":
        special = {"cls": "[CLS]", "pad": "[PAD]", "sep": "[SEP]", "unk": "[UNK]", "mask": "[MASK]"}
    merges = _merges()
    pieces = [*list(special.values())[:4], *_bytes(), *("".join(pair.split()) for pair in merges), special["mask"]]
    (folder / "vocab.json").write_text(json.dumps({piece: index for index, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    name = {"roberta": "RobertaTokenizer", "deberta": "DebertaTokenizer"}[kind]
    settings = {"tokenizer_class": name, "model_max_length": 64, **{f"{k}_token": v for k, v in special.items()}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(pieces)


def _bytes() -> list[str]:
    """The characters that stand for the 256 bytes in GPT-2's vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + place) for place in range(len(others))]


def _merges() -> list[str]:
    """Each word is built from its left end, as one piece with and one without the blank before it."""
    merges: dict[str, None] = {}
    for word in WORDS:
        for start in ("", "Ġ"):
            letters = start + word
            for end in range(2, len(letters) + 1):
                merges[f"{letters[: end - 1]} {letters[end - 1]}"] = None
    return list(merges)
