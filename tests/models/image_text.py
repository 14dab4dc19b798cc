"""Small checkpoints of image-text models in the published formats, and what transformers itself makes of them."""

import json

import torch
from checkpoints import tokenizer_files
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    SiglipVisionConfig,
)

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
VISION = SMALL | {"image_size": 32, "patch_size": 8}
RESIZE = {
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "size": {"height": 32, "width": 32},
}
CROP = RESIZE | {
    "image_processor_type": "CLIPImageProcessor",
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "size": {"shortest_edge": 32},
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}
LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: {% endif %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}<image>\n"
    "{% else %}{{ content['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tokenizer_with(folder, *tokens, **special):
    """The shipped tokenizer with special tokens beside its own; ids of these tokens."""
    tokenizer_files(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens), **special})
    tokenizer.save_pretrained(folder)
    return tokenizer, tokenizer.convert_tokens_to_ids(list(tokens))


def text(tokenizer, **settings):
    return SMALL | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 512,
        "num_key_value_heads": 2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **settings,
    }


def written(folder, model, preprocessor, template=None):
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    if template is not None:
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    return [str(folder)]


def llava(vision, preprocessor=CROP, **settings):
    def make(folder):
        tokenizer, (image,) = tokenizer_with(folder, "<image>")
        config = LlavaConfig(
            vision_config=vision, text_config=LlamaConfig(**text(tokenizer)), image_token_index=image, **settings
        )
        torch.manual_seed(2)
        return written(folder, LlavaForConditionalGeneration(config), preprocessor, LLAVA_TEMPLATE)

    return make


LLAVA = llava(CLIPVisionConfig(**VISION))
LLAVA_SIGLIP = llava(
    SiglipVisionConfig(**VISION, vision_use_head=False),
    RESIZE | {"image_processor_type": "SiglipImageProcessor"},
    vision_feature_select_strategy="full",
)


def whole(captioner, labels):
    """Prompt and captions but for their last token."""
    prompt = torch.tensor([captioner.prompt_ids] * len(labels))
    return torch.cat([prompt, labels[:, :-1]], dim=1)


def whole_logits(given):
    """By transformers' forward from pixels; `given(captioner, pixels, ids)` are the arguments beside the tokens."""

    def logits(captioner, pixels, labels):
        ids = whole(captioner, labels)
        found = captioner.model(input_ids=ids, **given(captioner, pixels, ids)).logits
        return found[:, len(captioner.prompt_ids) - 1 :]

    return logits


def whole_ids(given):
    def ids(captioner, pixels, **options):
        start = torch.tensor([captioner.prompt_ids] * len(pixels))
        found = captioner.model.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            do_sample=False,
            generation_config=captioner.generation,
            **given(captioner, pixels, start),
            **options,
        )
        return found[:, start.shape[1] :]

    return ids


def as_they_are(captioner, pixels, ids):
    return {"pixel_values": pixels}


REOPENED = """
full = torch.cat([ids, labels[:, :-1]], dim=1)
logits = model(input_ids=full, **given).logits[:, ids.shape[1] - 1 :]
"""
