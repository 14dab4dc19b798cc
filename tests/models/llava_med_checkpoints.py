"""LLaVA-Med as Microsoft published it, made small."""

import json

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from image_text import VISION, text, tokenizer_with
from safetensors.torch import save_file
from transformers import (
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
)


def llava_med_directory(
    folder, dtype=torch.float32, kind="safetensors", tower=None, vision=None, shard="60KB", **words
):
    """What microsoft/llava-med-v1.5-mistral-7b holds, with its tower inside or, by name, elsewhere; and its twin."""
    tokenizer, (unknown,) = tokenizer_with(folder, "<unk>", unk_token="<unk>", pad_token="<unk>")
    vision = CLIPVisionConfig(**(VISION | {"hidden_size": 64, "num_attention_heads": 1}))
    words = text(tokenizer, pad_token_id=unknown) | words
    config = LlavaConfig(
        vision_config=vision, text_config=MistralConfig(**words), image_token_index=unknown, dtype=dtype
    )
    torch.manual_seed(2)
    twin = LlavaForConditionalGeneration(config).to(dtype)
    state = {}
    for name, value in twin.state_dict().items():
        for ours, theirs in (
            ("model.language_model.", "model."),
            ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
            ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
            ("model.vision_tower.", "model.vision_tower.vision_tower.vision_model."),
        ):
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
                break
        if tower is None or ".vision_tower." not in name:
            state[name] = value.contiguous()
    if tower is not None:
        tower.mkdir()
        twin.model.vision_tower.save_pretrained(tower)
    pattern = "model{suffix}.safetensors" if kind == "safetensors" else "pytorch_model{suffix}.bin"
    split = split_torch_state_dict_into_shards(state, max_shard_size=shard, filename_pattern=pattern)
    for file, names in split.filename_to_tensors.items():
        part = {name: state[name] for name in names}
        if kind == "safetensors":
            save_file(part, folder / file, metadata={"format": "pt"})
        else:
            torch.save(part, folder / file)
    index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
    (folder / f"{pattern.format(suffix='')}.index.json").write_text(json.dumps(index))
    theirs = MistralConfig(**words).to_dict() | {
        "architectures": ["LlavaMistralForCausalLM"],
        "model_type": "llava_mistral",
        "torch_dtype": str(dtype).removeprefix("torch."),
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "freeze_mm_mlp_adapter": False,
        "image_aspect_ratio": "pad",
        "image_grid_pinpoints": None,
        "mm_hidden_size": vision.hidden_size,
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336" if tower is None else str(tower),
        "tokenizer_model_max_length": 2048,
        "use_mm_proj": True,
    }
    for ours in ("dtype", "rope_parameters"):
        theirs.pop(ours, None)
    (folder / "config.json").write_text(json.dumps(theirs))
    return twin


def llava_med(folder):
    llava_med_directory(folder)
    return [str(folder)]


def llava_med_by_name(folder):
    (folder / "model").mkdir()
    llava_med_directory(folder / "model", kind="bin", tower=folder / "tower")
    return [str(folder / "model")]
