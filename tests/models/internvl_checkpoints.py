"""A small InternVL in the published format."""

import torch
from image_text import RESIZE, VISION, text, tokenizer_with, written
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLVisionConfig, Qwen2Config

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<IMG_CONTEXT>\n{% else %}{{ content['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PREPROCESSOR = RESIZE | {"image_processor_type": "GotOcr2ImageProcessor", "crop_to_patches": True, "max_patches": 12}


def internvl(folder):
    words = ("<IMG_CONTEXT>", "<img>", "</img>", "<|im_start|>", "<|im_end|>")
    tokenizer, (image, *_) = tokenizer_with(folder, *words, eos_token="<|im_end|>")
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**VISION, attention_bias=True),
        text_config=Qwen2Config(**text(tokenizer)),
        image_token_id=image,
        image_seq_length=4,
    )
    torch.manual_seed(2)
    return written(folder, InternVLForConditionalGeneration(config), PREPROCESSOR, TEMPLATE)
