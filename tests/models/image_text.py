"""Small checkpoints of image-text models in the published formats."""

import json

import torch
from checkpoints import tokenizer_files
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    Gemma2Config,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
    MistralForCausalLM,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
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


def paligemma(folder):
    tokenizer, (image, _) = tokenizer_with(folder, "<image>", "<bos>", bos_token="<bos>")
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**VISION, vision_use_head=False, projection_dim=32),
        text_config=Gemma2Config(**text(tokenizer, head_dim=16, sliding_window=8)),
        image_token_index=image,
        projection_dim=32,
        hidden_size=32,
    )
    torch.manual_seed(2)
    preprocessor = RESIZE | {"image_processor_type": "SiglipImageProcessor", "processor_class": "PaliGemmaProcessor"}
    return written(folder, PaliGemmaForConditionalGeneration(config), preprocessor)


GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{% for item in message['content'] %}{% if item['type'] == 'image' %}<start_of_image>"
    "{% else %}{{ item['text'] | trim }}{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def gemma3(folder):
    words = ("<start_of_image>", "<image_soft_token>", "<end_of_image>", "<start_of_turn>", "<end_of_turn>", "<bos>")
    tokenizer, (begin, image, end, _, turn, _) = tokenizer_with(folder, *words, bos_token="<bos>")
    layers = ["sliding_attention", "full_attention", "sliding_attention"]
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**(VISION | {"image_size": 64}), vision_use_head=False),
        text_config=Gemma3TextConfig(**text(tokenizer, head_dim=16, sliding_window=8, layer_types=layers)),
        mm_tokens_per_image=16,
        boi_token_index=begin,
        eoi_token_index=end,
        image_token_index=image,
        eos_token_id=[tokenizer.eos_token_id, turn],
    )
    torch.manual_seed(2)
    model = Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.2)  # zero when new
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, turn]
    preprocessor = RESIZE | {"image_processor_type": "Gemma3ImageProcessor", "do_pan_and_scan": None, "resample": 2}
    preprocessor["size"] = {"height": 64, "width": 64}
    return written(folder, model, preprocessor, GEMMA_TEMPLATE)


SMOL_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
TILES = RESIZE | {
    "image_processor_type": "SmolVLMImageProcessor",
    "do_image_splitting": True,
    "do_pad": True,
    "max_image_size": {"longest_edge": 32},
    "size": {"longest_edge": 128},
    "resample": 1,
}


def smolvlm(config_class, model_class, processor):
    def make(folder):
        around = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<|im_start|>")
        tokenizer, (image, *_) = tokenizer_with(folder, *around, eos_token="<end_of_utterance>")
        config = config_class(
            vision_config=VISION,
            text_config={"model_type": "llama", **text(tokenizer)},
            image_token_id=image,
            scale_factor=2,
        )
        torch.manual_seed(2)
        preprocessor = TILES | {"image_processor_type": processor}
        return written(folder, model_class(config), preprocessor, SMOL_TEMPLATE)

    return make


SMOLVLM = smolvlm(SmolVLMConfig, SmolVLMForConditionalGeneration, "SmolVLMImageProcessor")
IDEFICS3 = smolvlm(Idefics3Config, Idefics3ForConditionalGeneration, "Idefics3ImageProcessor")

QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_VISION = {"depth": 3, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3}
QWEN = RESIZE | {
    "image_processor_type": "Qwen2VLImageProcessor",
    "min_pixels": 256,
    "max_pixels": 12845056,
    "patch_size": 8,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}
del QWEN["size"]


def qwen(config_class, model_class, vision, words_too=None, **preprocessor):
    def make(folder):
        words = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
        tokenizer, (_, end, first, last, image, video) = tokenizer_with(folder, *words, eos_token="<|im_end|>")
        rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
        config = config_class(
            vision_config=QWEN_VISION | vision,
            text_config=text(tokenizer, rope_parameters=rope, head_dim=16) | (words_too or {}),
            image_token_id=image,
            video_token_id=video,
            vision_start_token_id=first,
            vision_end_token_id=last,
        )
        torch.manual_seed(2)
        model = model_class(config)
        model.generation_config.update(repetition_penalty=1.5, eos_token_id=[end, 0])
        return written(folder, model, QWEN | preprocessor, QWEN_TEMPLATE)

    return make


QWEN2_VL = qwen(
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    {"embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 8, "mlp_ratio": 2},
)
QWEN2_5_VL = qwen(
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    {"hidden_size": 32, "out_hidden_size": 32, "num_heads": 2, "patch_size": 8, "intermediate_size": 64}
    | {"window_size": 32, "fullatt_block_indexes": [1]},
)
QWEN3_VISION = {"hidden_size": 32, "out_hidden_size": 32, "num_heads": 2, "patch_size": 8, "intermediate_size": 64} | {
    "num_position_embeddings": 16
}
DEEPSTACK = QWEN3_VISION | {"deepstack_visual_indexes": [0, 1]}
HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
QWEN3_VL = qwen(Qwen3VLConfig, Qwen3VLForConditionalGeneration, DEEPSTACK, **HALVES)
QWEN3_VL_MOE = qwen(
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    DEEPSTACK,
    {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    **HALVES,
)
QWEN3_5 = qwen(
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    QWEN3_VISION,
    {"layer_types": ["linear_attention", "full_attention", "linear_attention"]}
    | {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16},
    **HALVES,
)


def language(config_class, model_class, *tokens, **settings):
    """A Llama-like language model with its tokenizer."""

    def make(folder):
        tokenizer, _ = tokenizer_with(folder, *tokens)
        torch.manual_seed(4)
        model_class(config_class(**text(tokenizer, **settings))).save_pretrained(folder)
        return folder

    return make


LLAMA = language(LlamaConfig, LlamaForCausalLM, "<|reserved_special_token_0|>", tie_word_embeddings=True)
MISTRAL = language(MistralConfig, MistralForCausalLM, "<unk>")
QWEN2 = language(Qwen2Config, Qwen2ForCausalLM, "<|im_end|>", "<|image_pad|>", tie_word_embeddings=True)
QWEN3 = language(Qwen3Config, Qwen3ForCausalLM, "<|im_end|>", "<|image_pad|>", head_dim=16)
