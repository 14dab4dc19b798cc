"""What image-text models do beyond the conformance test: prompts, cuts, fewer tokens, and answers to what cannot be."""

import json
from functools import partial

import image_text
import image_text_runs
import pytest
import torch
from checkpoints import gpt2_directory, vit_directory
from commands import LORA
from families import joined, loss_of
from PIL import Image
from transformers import (
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    CLIPVisionConfig,
    CohereConfig,
    LlamaConfig,
    SiglipVisionConfig,
    VipLlavaConfig,
    VipLlavaForConditionalGeneration,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling

from rococap.models.export import export
from rococap.models.lora import add_lora
from rococap.models.prefix import prefix
from rococap.models.vlm import vlm
from rococap.models.vlm_families import Llava
from rococap.models.vlm_unlisted import Unlisted
from rococap.report.attention import why_no_maps
from rococap.types import UserError


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    made = {}
    for name, make in (
        ("llava", image_text.LLAVA),
        ("paligemma", image_text.paligemma),
        ("gemma3", image_text.gemma3),
        ("smolvlm", image_text.SMOLVLM),
        ("qwen", image_text.QWEN2_5_VL),
    ):
        (made[name],) = make(tmp_path_factory.mktemp(name))
    return made


def loss(captioner, images):
    labels = torch.tensor([[5, 6, 7], [8, 9, 10]])
    return captioner.eval()(captioner.encode(images), labels, torch.ones_like(labels))[0]


def images(captioner):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, *captioner.processor.image_size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", ["llava", "paligemma", "gemma3", "smolvlm"])
@torch.no_grad()
def test_where_it_is_cut_changes_what_is_kept_and_nothing_else(checkpoints, name):
    before, after = (vlm(checkpoints[name], cut=cut) for cut in ("before", "after"))
    seen = images(before)
    torch.testing.assert_close(loss(before, seen), loss(after, seen), rtol=1e-5, atol=1e-5)
    projector = next(name for name, _ in before.named_weights() if before.part(name) == "projector")
    assert after.encodes(projector) and not before.encodes(projector)
    assert before.encoding != after.encoding and before.tower_digest() != after.tower_digest()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("llava", "USER: <image>\nDescribe this radiology image. ASSISTANT:"),
        ("paligemma", "<image><bos>caption en\n"),
        (
            "gemma3",
            "<bos><start_of_turn>user\n\n\n<start_of_image><image_soft_token><end_of_image>\n\n"
            "Describe this radiology image.<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            "smolvlm",
            "<|im_start|>User:<fake_token_around_image><global-img><image><fake_token_around_image>"
            "Describe this radiology image.<end_of_utterance>\nAssistant:",
        ),
    ],
)
def test_the_prompt_is_what_the_models_own_processor_makes(checkpoints, name, text):
    assert vlm(checkpoints[name]).prompt.text == text


def test_a_prompt_of_ones_own(checkpoints):
    captioner = vlm(checkpoints["qwen"], prompt="See <image> and tell.", image_size=48)
    assert captioner.prompt.text == "See <|vision_start|><|image_pad|><|vision_end|> and tell."
    assert captioner.prompt_ids.count(captioner.image_id) == captioner.count == 9
    assert captioner.grid == (3, 3) and captioner.generation.repetition_penalty == 1.0


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("llava", {"prompt": "What is it?"}, "no places for the image"),
        ("llava", {"prompt": "<image><image>"}, "2 places for the image"),
        ("llava", {"image_size": 33}, "multiple of 8, such as 32"),
        ("llava", {"image_size": 64}, "takes 32 pixels"),
        ("llava", {"visual_tokens": 5}, "Take one of 16, 4, 1"),
        ("qwen", {"image_size": 40}, "multiple of 16"),
        ("qwen", {"image_size": 32, "cut": "before"}, "can be cut after the projector"),
        ("qwen", {"image_size": 32, "visual_tokens": 1}, "follows model.image_size"),
        ("qwen", {}, "no room for a caption"),
        ("smolvlm", {"cut": "before", "visual_tokens": 1}, "take model.cut=after"),
    ],
)
def test_what_does_not_suit_the_model_has_one_answer(checkpoints, name, settings, said):
    with pytest.raises(UserError, match=said):
        vlm(checkpoints[name], **settings)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("florence2", "ignores them"),
        ("git", "type git"),
        ("mllama", "does not take an image's features"),
        ("blip", "model=blip reads it"),
        ("blip-2", "model=blip2 reads it"),
        ("llava_mistral", "model=llava_med reads it"),
        ("bert", "no image-text model"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_can(tmp_path, kind, said):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(UserError, match=said) as raised:
        vlm(str(tmp_path))
    assert kind in str(raised.value) and "qwen2_5_vl" in str(raised.value)


def test_a_tokenizers_template_for_text_alone_does_not_hide_the_processors(tmp_path):
    (path,) = image_text.SMOLVLM(tmp_path)
    expected = vlm(path).prompt
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    for template in ("{{ messages[0]['content'] }}", "{{ messages[0]['content'] + '' }}"):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
        assert vlm(path).prompt == expected
    several = [{"name": "default", "template": image_text.SMOL_TEMPLATE}, {"name": "tool_use", "template": "tools"}]
    (tmp_path / "chat_template.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": several}))
    assert vlm(path).prompt == expected
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "chat_template.jinja").write_text(image_text.SMOL_TEMPLATE)
    assert vlm(path).prompt == expected


def test_a_config_may_name_no_end_token_where_the_tokenizer_does(tmp_path):
    (path,) = image_text.QWEN3_VL(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"].pop("eos_token_id", None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    captioner = vlm(path, image_size=32)
    assert captioner.processor.tokenizer.decode([captioner.processor.end_token_id]) == "<|im_end|>"


def test_a_tokenizer_that_lacks_the_images_token_is_refused(tmp_path):
    (path,) = image_text.LLAVA(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    for field in ("image_token_index", "image_token_id"):
        config.pop(field, None)
    for field in ({"image_token_index": 99999}, {"image_token_id": 99999}):
        (tmp_path / "config.json").write_text(json.dumps(config | field))
        with pytest.raises(UserError, match="has no token 99999"):
            vlm(path)


def test_a_tokenizer_without_end_token_is_refused(tmp_path):
    image_text.LLAVA(tmp_path)
    for file, names in (("tokenizer_config.json", ["eos_token"]), ("generation_config.json", ["eos_token_id"])):
        content = json.loads((tmp_path / file).read_text())
        (tmp_path / file).write_text(json.dumps({key: content[key] for key in content if key not in names}))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no caption could end"):
        vlm(str(tmp_path))


def unlisted(folder, config_class, model_class, vision, words, **settings):
    tokenizer, (image,) = image_text.tokenizer_with(folder, "<image>")
    text = words(**image_text.text(tokenizer))
    torch.manual_seed(2)
    model = model_class(config_class(vision_config=vision, text_config=text, image_token_index=image, **settings))
    return image_text.written(folder, model, image_text.RESIZE, image_text.LLAVA_TEMPLATE)[0]


def vipllava(folder, layers):
    vision, model = CLIPVisionConfig(**image_text.VISION), VipLlavaForConditionalGeneration
    return unlisted(folder, VipLlavaConfig, model, vision, LlamaConfig, vision_feature_layers=layers)


def aya(folder):
    vision = SiglipVisionConfig(**image_text.VISION, vision_use_head=False)
    return unlisted(folder, AyaVisionConfig, AyaVisionForConditionalGeneration, vision, CohereConfig)


@pytest.mark.parametrize("make", [partial(vipllava, layers=[-2, -1]), aya])
@torch.no_grad()
def test_an_unlisted_type_is_read_once_its_words_move_with_the_image(tmp_path, make):
    captioner = vlm(make(tmp_path))
    seen, labels = images(captioner), torch.tensor([[5, 6, 7], [8, 9, 10]])
    pixels, ids = (seen.float() - captioner.mean) / captioner.std, image_text_runs.whole(captioner, labels)
    logits = captioner.model(input_ids=ids, pixel_values=pixels).logits[:, len(captioner.prompt_ids) - 1 :]
    expected = loss_of(logits, labels, torch.ones_like(labels))
    torch.testing.assert_close(loss(captioner, seen), expected, rtol=1e-4, atol=1e-4)
    assert captioner.grid is None and "not known" in why_no_maps(captioner)  # nor guessed
    with pytest.raises(UserError, match=r"model\.visual_tokens=1: .* none known"):
        vlm(str(tmp_path), visual_tokens=1)


@torch.no_grad()
def test_a_grid_that_the_tower_does_not_give_is_let_go(checkpoints, monkeypatch):
    monkeypatch.setattr(Llava, "grid", lambda self, config, side: (8, 8))
    captioner = vlm(checkpoints["llava"])
    assert captioner.grid is None and "not known" in why_no_maps(captioner)
    assert len(captioner.generate(captioner.encode(images(captioner)), max_new_tokens=2, num_beams=1)) == 2
    with pytest.raises(UserError, match="no grid of 8 x 8"):
        vlm(checkpoints["llava"], visual_tokens=4)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("mistral3", "it wants image_sizes beside an image's pixels"),
        ("glm4v", "it wants image_grid_thw beside"),
        ("fuyu", "its vision tower is not to be told from its words"),
    ],
)
def test_an_unlisted_type_that_no_image_alone_suits_is_refused_before_weights_are_read(tmp_path, kind, said):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(UserError, match=rf"type {kind}: {said}.*\n.*qwen2_5_vl"):
        vlm(str(tmp_path))


def test_an_unlisted_type_may_not_say_what_size_it_sees(tmp_path, monkeypatch):
    path = aya(tmp_path)
    monkeypatch.setattr("rococap.models.vlm_unlisted._side_of", lambda config: None)
    (tmp_path / "model.safetensors").rename(tmp_path / "weights")
    with pytest.raises(UserError, match=r"model\.image_size=null: .* does not say"):
        vlm(path)
    (tmp_path / "weights").rename(tmp_path / "model.safetensors")
    assert vlm(path, image_size=32).processor.image_size == (32, 32)


def test_an_unlisted_type_that_fails_or_is_blind_is_refused(tmp_path, monkeypatch):
    for folder in ("fails", "blind"):
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError, match="vipllava: an image cannot be shown to it alone"):
        vlm(vipllava(tmp_path / "fails", [-2, -9]))
    path = aya(tmp_path / "blind")
    monkeypatch.setattr(
        Unlisted, "given", lambda self, tokens, core: BaseModelOutputWithPooling(tokens * 0, tokens * 0)
    )
    with pytest.raises(UserError, match="words do not move with the image"):
        vlm(path)


def test_a_decoder_that_takes_no_prefix_is_refused(tmp_path):
    tower, decoder = joined(vit_directory, gpt2_directory)(tmp_path)
    with pytest.raises(UserError, match="vit_gpt2_fresh"):
        prefix(tower, decoder)


@pytest.mark.parametrize("cut", ["before", "after"])
def test_fewer_visual_tokens_open_without_rococap(checkpoints, tmp_path, monkeypatch, capsys, cut):
    captioner = vlm(checkpoints["llava"], cut=cut, visual_tokens=4)
    assert captioner.count == 4
    add_lora(captioner, **(LORA | {"target_modules": None}))
    folder = export(captioner.eval(), tmp_path)
    image = Image.effect_noise((60, 44), 60).convert("RGB")
    image.save(tmp_path / "image.png")
    pixels = torch.from_numpy(captioner.processor.pixels(image))[None]
    said = captioner.generate(captioner.encode(pixels), max_new_tokens=128, num_beams=1)[0]
    blocks = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    code = "\n".join(block.partition("```")[0] for block in blocks).replace('"IMAGE"', repr("image.png"))
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "readme"})
    assert capsys.readouterr().out.strip() == said
