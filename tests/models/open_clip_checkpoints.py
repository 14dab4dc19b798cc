"""A small BiomedCLIP in the format of microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224."""

import json
from pathlib import Path

import torch

WIDTH, BLOCKS, PATCH, SIZE = 128, 2, 8, 32
CONFIG = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {
            "timm_model_name": "vit_base_patch16_224",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": SIZE,
        },
        "text_cfg": {"hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", "context_length": 256},
    },
    "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
}


def timm_state() -> dict:
    """What timm's VisionTransformer holds, by its names, with random values."""
    linear = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
    linear |= {"mlp.fc1": (4 * WIDTH, WIDTH), "mlp.fc2": (WIDTH, 4 * WIDTH)}
    generator = torch.Generator().manual_seed(5)

    def values(*shape):
        return torch.randn(shape, generator=generator) * 0.1

    state = {"cls_token": values(1, 1, WIDTH), "pos_embed": values(1, 1 + (SIZE // PATCH) ** 2, WIDTH)}
    state |= {"patch_embed.proj.weight": values(WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": values(WIDTH)}
    for block in range(BLOCKS):
        for norm in ("norm1", "norm2"):
            state[f"blocks.{block}.{norm}.weight"] = 1 + values(WIDTH)
            state[f"blocks.{block}.{norm}.bias"] = values(WIDTH)
        for name, shape in linear.items():
            state[f"blocks.{block}.{name}.weight"], state[f"blocks.{block}.{name}.bias"] = (
                values(*shape),
                values(shape[0]),
            )
    return state | {"norm.weight": 1 + values(WIDTH), "norm.bias": values(WIDTH)}


def biomedclip_directory(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    state = {f"visual.trunk.{name}": value for name, value in timm_state().items()}
    state |= {"visual.head.proj.weight": torch.zeros(16, WIDTH), "logit_scale": torch.tensor(4.6)}
    state |= {
        "text.transformer.embeddings.position_ids": torch.arange(256)[None],
        "text.proj.0.weight": torch.zeros(4, 4),
    }
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG))
    return folder
