"""LLaVA-Med 1.5 as Microsoft published it (Li et al. 2023, arXiv:2306.00890), a type that transformers does not know.

Renamed while it is read, it is transformers' LlavaForConditionalGeneration: CLIP, two linear layers, Mistral.
"""

from __future__ import annotations

import json
from pathlib import Path
from pprint import pformat
from typing import Any

from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
    PretrainedConfig,
)

from rococap.models.hub import answers, load, load_config, load_tokenizer, load_type, other_type, place
from rococap.models.loading import Loading
from rococap.models.names import within
from rococap.models.prompts import PLACE, spare_token
from rococap.models.tensors import shapes
from rococap.models.vlm import VLM
from rococap.models.vlm_families import Llava
from rococap.models.vlm_family import Cut
from rococap.models.vlm_parts import Parts
from rococap.types import UserError

_TYPE = "llava_mistral"
_TOWER = "model.vision_tower"
_INSIDE = "model.vision_tower.vision_tower.vision_model."
_NAMES = {
    r"^model\.embed_tokens\.": "model.language_model.embed_tokens.",
    r"^model\.layers\.": "model.language_model.layers.",
    r"^model\.norm\.": "model.language_model.norm.",
    r"^model\.mm_projector\.0\.": "model.multi_modal_projector.linear_1.",
    r"^model\.mm_projector\.2\.": "model.multi_modal_projector.linear_2.",
    r"^model\.vision_tower\.vision_tower\.vision_model\.": "model.vision_tower.",
}
_BASE = """\
import torch
import transformers

config = transformers.LlavaConfig.from_dict(
{config}
)
names = {names}
base = transformers.LlavaForConditionalGeneration.from_pretrained(
    {path!r},
    config=config,
    key_mapping=names,
    {loading},
)
{tower}"""
_CLIP: dict[str, Any] = {
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
}


class LlavaMed(Llava):
    """Its prompt is Mistral's."""

    default_prompt = f"[INST] {PLACE}\nDescribe the image. [/INST] "

    def __init__(self, marked: bool) -> None:
        """`marked`: the model was taught tokens around an image."""
        self.marked = marked

    def place(self, token: str) -> tuple[str, str]:
        return PLACE, f"<im_start>{token}<im_end>" if self.marked else token


def llava_med(
    path: str,
    vision_tower: str | None = None,
    prompt: str | None = None,
    cut: Cut = "auto",
    visual_tokens: int | None = None,
    loading: Loading = Loading(),
) -> VLM:
    """LLaVA-Med from Microsoft's files, renamed while they are read: it is in memory once, and rounded layer by layer.

    Args:
        path: a name on the Hugging Face hub, or a directory, with safetensors or .bin files.
        vision_tower: the CLIP that it sees with, by name or as a directory; None: the one that its config names, unless
            its own files hold one.
        prompt, cut, visual_tokens: see `rococap.models.vlm.vlm`.

    Raises:
        UserError: it is another type, a part of it is missing, or a setting does not suit it.
    """
    theirs = _their_config(path)
    inside = any(name.startswith(_INSIDE) for name in shapes(path))
    named = None if inside and vision_tower is None else str(vision_tower or theirs.get("mm_vision_tower"))
    vision = _clip_inside(path) if named is None else _clip_config(named)
    tokenizer = load_tokenizer(path)
    config = _our_config(theirs, vision, spare_token(tokenizer, int(theirs["vocab_size"]), path))
    family = LlavaMed(bool(theirs.get("mm_use_im_start_end")))
    content = _preprocessor(theirs, vision.image_size)
    parts = Parts(path, config, family, prompt, None, cut, content, tokenizer)
    parts.check_visual_tokens(visual_tokens)
    keep = (family.tower, *family.projector, "lm_head")
    model, new = load(LlavaForConditionalGeneration, path, loading, keep, config=config, key_mapping=_NAMES)
    del model._weight_conversions  # saving would write Microsoft's names again
    tower_code = ""
    if named is not None:
        plain = Loading(loading.dtype, compute=loading.compute)
        model.model.vision_tower, lacking = load(CLIPVisionModel, named, plain)
        new = frozenset(name for name in new if not within(name, (_TOWER,)))
        new |= {f"{_TOWER}.{name}" for name in lacking}
        opened = f"transformers.CLIPVisionModel.from_pretrained({place(named)!r}, {plain.code(())})"
        tower_code = f"base.model.vision_tower = {opened}\n"
    code = _BASE.format(
        config=pformat(config.to_diff_dict(), width=116),
        names=pformat(_NAMES, width=110),
        path=place(path),
        loading=loading.code(keep),
        tower=tower_code,
    )
    return VLM(model, parts, new, code + loading.finishing, visual_tokens)


def convert(path: str, out: Path, vision_tower: str | None = None) -> None:
    """Write it in transformers' format, with tokenizer and processor, as LlavaForConditionalGeneration reads it.

    Args:
        path, vision_tower: see `llava_med`.
        out: an empty or new directory.

    Raises:
        UserError: as `llava_med`; or the directory has something in it.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty: give another directory.")
    captioner = llava_med(path, vision_tower, loading=Loading(dtype="auto"))
    out.mkdir(parents=True, exist_ok=True)
    captioner.save_network(out)
    captioner.save_settings(out)
    config = captioner.model.config
    processor = {
        "processor_class": "LlavaProcessor",
        "image_token": captioner.prompt.token,
        "patch_size": config.vision_config.patch_size,
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
        "num_additional_image_tokens": 1,
    }
    (out / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n", encoding="utf-8")
    token = captioner.prompt.text.partition("\n")[0].rpartition(" ")[2]
    template = (
        "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}[INST] "
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}TOKEN\n"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %} [/INST] "
        "{% else %}{{ message['content'][0]['text'] }}{{ eos_token }}{% endif %}{% endfor %}"
    )
    (out / "chat_template.jinja").write_text(template.replace("TOKEN", token), encoding="utf-8")


def _their_config(path: str) -> dict[str, Any]:
    if (kind := load_type(path)) != _TYPE:
        raise other_type(path, kind, (_TYPE,))
    with answers(path):
        config: dict[str, Any] = PretrainedConfig.get_config_dict(path)[0]
    if (projector := config.get("mm_projector_type")) != "mlp2x_gelu":
        raise UserError(f"model.path={path}: its projector is of type {projector}; model=llava_med reads mlp2x_gelu.")
    return config


def _our_config(theirs: dict[str, Any], vision: CLIPVisionConfig, image_id: int) -> LlavaConfig:
    own = {name: value for name, value in theirs.items() if name != "model_type" and not name.startswith("mm_")}
    known = set(MistralConfig().to_dict()) | {"rope_theta"}
    dtype = theirs.get("dtype", theirs.get("torch_dtype"))
    feature = theirs.get("mm_vision_select_feature", "patch")
    return LlavaConfig(
        vision_config=vision.to_dict(),
        text_config={
            "model_type": "mistral",
            **{name: value for name, value in own.items() if name in known and name not in {"architectures", "dtype"}},
        },
        image_token_index=image_id,
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_layer=theirs.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full" if feature == "cls_patch" else "default",
        dtype=dtype,
    )


def _clip_config(path: str) -> CLIPVisionConfig:
    config = load_config(path, ("clip", "clip_vision_model"), setting="model.vision_tower")
    return config.vision_config if config.model_type == "clip" else config


def _clip_inside(path: str) -> CLIPVisionConfig:
    """What the shapes of its tensors say; a head of OpenAI's CLIPs has 64 channels."""
    own = {name.removeprefix(_INSIDE): shape for name, shape in shapes(path).items() if name.startswith(_INSIDE)}
    width, _, patch, _ = own["embeddings.patch_embedding.weight"]
    rows = int((own["embeddings.position_embedding.weight"][0] - 1) ** 0.5)
    layers = {name.split(".")[2] for name in own if name.startswith("encoder.layers.")}
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=own["encoder.layers.0.mlp.fc1.weight"][0],
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, width // 64),
        image_size=rows * patch,
        patch_size=patch,
    )


def _preprocessor(theirs: dict[str, Any], side: int) -> dict[str, Any]:
    size = {"height": side, "width": side}
    if theirs.get("image_aspect_ratio") == "pad":
        own = {"do_pad": True, "do_center_crop": False, "size": size}
    else:
        own = {"do_pad": False, "do_center_crop": True, "size": {"shortest_edge": side}, "crop_size": size}
    return {"image_processor_type": "LlavaImageProcessor", **_CLIP, **own}
