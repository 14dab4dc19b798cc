"""BiomedCLIP's vision tower (Zhang et al. 2023, arXiv:2303.00915), which open_clip published: timm's ViT, renamed."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import hf_hub_download
from PIL.Image import Resampling

from rococap.models.hub import answers, place
from rococap.models.loading import Loading
from rococap.models.processor import ImageSettings, image_settings
from rococap.types import UserError

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_pytorch_model.bin"
_CODE = """\
{finding}
{convert}

encoder = vit_of_timm(torch.load({weights}, weights_only=True), {loading})"""


def open_clip_settings(path: str) -> dict[str, Any] | None:
    """What open_clip says of a model on the hub or in a directory; None where it says nothing."""
    try:
        content: dict[str, Any] = json.loads(_file(path, CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


def load_vit(path: str, loading: Loading) -> tuple[Any, str]:
    """The vision tower of open_clip's weights, and lines of Python that open it as `encoder`.

    Raises:
        UserError: the weights cannot be had, or their tower is no ViT of timm's.
    """
    with answers(path):
        weights = torch.load(_file(path, WEIGHTS), map_location="cpu", weights_only=True)
        if "visual.trunk.blocks.0.attn.qkv.weight" not in weights:
            raise UserError(f"{path}: of open_clip's vision towers only timm's ViT is read, as BiomedCLIP has it.")
        module = vit_of_timm(weights, dtype=loading.dtype)
    if Path(path).is_dir():
        finding, where = "", repr(str(Path(place(path)) / WEIGHTS))
    else:
        finding, where = "from huggingface_hub import hf_hub_download\n", f"hf_hub_download({path!r}, {WEIGHTS!r})"
    convert = inspect.getsource(vit_of_timm)
    return module, _CODE.format(finding=finding, convert=convert, weights=where, loading=loading.code(()))


def vit_of_timm(weights: dict[str, torch.Tensor], dtype: torch.dtype | str) -> transformers.ViTModel:
    """The vision tower of a CLIP of open_clip's whose tower is timm's ViT, by transformers' names."""
    trunk = {name[13:]: value for name, value in weights.items() if name.startswith("visual.trunk.")}
    width, _, patch, _ = trunk["patch_embed.proj.weight"].shape
    blocks = 1 + max(int(name.split(".")[1]) for name in trunk if name.startswith("blocks."))
    named = {"embeddings.cls_token": trunk["cls_token"], "embeddings.position_embeddings": trunk["pos_embed"]}
    for part in ("weight", "bias"):
        named[f"embeddings.patch_embeddings.projection.{part}"] = trunk[f"patch_embed.proj.{part}"]
        named[f"layernorm.{part}"] = trunk[f"norm.{part}"]
        for block in range(blocks):
            old, new = f"blocks.{block}", f"encoder.layer.{block}"
            query_key_value = trunk[f"{old}.attn.qkv.{part}"].chunk(3)
            for name, value in zip(("query", "key", "value"), query_key_value, strict=True):
                named[f"{new}.attention.attention.{name}.{part}"] = value.clone()
            named[f"{new}.attention.output.dense.{part}"] = trunk[f"{old}.attn.proj.{part}"]
            named[f"{new}.intermediate.dense.{part}"] = trunk[f"{old}.mlp.fc1.{part}"]
            named[f"{new}.output.dense.{part}"] = trunk[f"{old}.mlp.fc2.{part}"]
            named[f"{new}.layernorm_before.{part}"] = trunk[f"{old}.norm1.{part}"]
            named[f"{new}.layernorm_after.{part}"] = trunk[f"{old}.norm2.{part}"]
    config = transformers.ViTConfig(
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=width // 64,  # timm's ViTs have heads of 64
        intermediate_size=len(trunk["blocks.0.mlp.fc1.bias"]),
        image_size=patch * round((trunk["pos_embed"].shape[1] - 1) ** 0.5),
        patch_size=patch,
        layer_norm_eps=1e-6,
    )
    return transformers.ViTModel.from_pretrained(
        None, config=config, state_dict=named, dtype=dtype, add_pooling_layer=False
    )


def clip_settings(content: dict[str, Any], size: int, path: str) -> ImageSettings:
    """How open_clip prepares an image of `size` pixels: the shorter side resized, the middle taken."""
    normalising = content.get("preprocess_cfg", {})
    file = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": int(Resampling.BICUBIC),
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        # What open_clip takes where nothing is said: OpenAI's.
        "image_mean": normalising.get("mean", [0.48145466, 0.4578275, 0.40821073]),
        "image_std": normalising.get("std", [0.26862954, 0.26130258, 0.27577711]),
    }
    return image_settings(file, f"{path}/{CONFIG}")


def _file(path: str, name: str) -> Path:
    """A file of a model; raises OSError where there is none."""
    return Path(path) / name if Path(path).is_dir() else Path(hf_hub_download(path, name))
