"""What published checkpoints differ in, beside their tensors: which files there are, and what these leave unsaid."""

import io
import json
import shutil

import httpx
import hydra
import image_text
import pytest
import sentencepiece
import torch
from blip_checkpoints import blip_directory
from commands import CONF
from families import FAMILIES
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from llava_med_checkpoints import llava_med_directory
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor

from rococap.config import register
from rococap.models import blip
from rococap.models.hub import load_image_settings, load_tokenizer, load_type
from rococap.models.llava_med import llava_med
from rococap.models.loading import Loading
from rococap.models.vit_gpt2 import fresh
from rococap.models.vlm import vlm
from rococap.recipe.recipe import Recipe
from rococap.types import UserError

UNSAID = ("do_center_crop", "crop_size")


def content(folder):
    return json.loads((folder / "preprocessor_config.json").read_text())


def write(folder, content, name="preprocessor_config.json"):
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("CLIPImageProcessor", "nothing"),
        ("CLIPImageProcessor", "in 2021"),
        ("ViTImageProcessor", "null"),
        ("ViTImageProcessor", "in 2021"),
        ("BlipImageProcessor", "nothing"),
        ("SiglipImageProcessor", "null"),
    ],
)
def test_what_an_image_processor_leaves_unsaid_is_its_classs_own(tmp_path, kind, said):
    write(tmp_path, {"image_processor_type": kind, **(dict.fromkeys(UNSAID) if said == "null" else {})})
    if said == "in 2021":
        write(tmp_path, {"feature_extractor_type": kind.replace("ImageProcessor", "FeatureExtractor"), "size": 230})
        write(tmp_path, {"model_type": kind.removesuffix("ImageProcessor").lower()}, "config.json")
    settings = load_image_settings(str(tmp_path))
    own = AutoImageProcessor.from_pretrained(tmp_path, use_fast=False)
    image = Image.effect_noise((300, 280), 60).convert("RGB")
    expected = torch.as_tensor(own(image, return_tensors="pt")["pixel_values"])[0]
    mean, std = (torch.tensor(value)[:, None, None] for value in (settings.mean, settings.std))
    ours = (torch.from_numpy(settings.pixels(image)).float() * settings.scale - mean) / std
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    (tmp_path / "saved").mkdir()
    settings.save(tmp_path / "saved")
    again = AutoImageProcessor.from_pretrained(tmp_path / "saved", use_fast=False)
    torch.testing.assert_close(torch.as_tensor(again(image, return_tensors="pt")["pixel_values"])[0], expected)


def test_null_says_that_something_is_not_done(tmp_path):
    settings = {"image_processor_type": "CLIPImageProcessor", "size": {"height": 64, "width": 48}}
    write(tmp_path, settings | {"do_center_crop": None, "crop_size": None})
    assert load_image_settings(str(tmp_path)).geometry == "resize"
    write(tmp_path, settings | {"size": {"shortest_edge": 230}})
    assert load_image_settings(str(tmp_path)).geometry == "crop"


def test_settings_within_a_processors_file_and_of_a_fast_class_are_the_same(tmp_path):
    path = str(blip_directory(tmp_path))
    expected, own = load_image_settings(path), content(tmp_path)
    nulls = {"crop_size": None, "device": None, "do_center_crop": None, "return_tensors": None}
    for changed in (own, own | nulls | {"image_processor_type": "BlipImageProcessorFast"}):
        (tmp_path / "preprocessor_config.json").unlink(missing_ok=True)
        write(tmp_path, {"processor_class": "BlipProcessor", "image_processor": changed}, "processor_config.json")
        settings = load_image_settings(path)
        for name in ("size", "resample", "scale", "mean", "std", "geometry"):
            assert getattr(settings, name) == getattr(expected, name)
        assert blip.published(path).processor.image_size == (32, 32)


def test_a_model_that_does_not_say_how_it_sees_images_is_refused(tmp_path):
    path = str(blip_directory(tmp_path))
    (tmp_path / "preprocessor_config.json").unlink()
    write(tmp_path, {"processor_class": "BlipProcessor"}, "processor_config.json")
    with pytest.raises(UserError, match=r"no preprocessor_config.json .*\nCopy it"):
        blip.published(path)


@pytest.fixture
def sharded(tmp_path):
    """A LLaVA-Med in many safetensors files."""
    llava_med_directory(tmp_path)
    return tmp_path


def test_shards_that_are_missing_are_named_before_anything_is_read(sharded):
    missing = sorted(sharded.glob("model-*.safetensors"))[1]
    missing.unlink()
    with pytest.raises(UserError, match=rf"1 of \d+ files that model.safetensors.index.json names .* {missing.name}"):
        load_type(str(sharded))
    with pytest.raises(UserError, match=missing.name):
        llava_med(str(sharded))


def test_the_format_that_is_not_taken_may_lie_there_in_part(sharded):
    """Many repositories hold weights in both formats, and people download one, with all of the JSON."""
    write(
        sharded, {"weight_map": {"lm_head.weight": "pytorch_model-00001-of-00002.bin"}}, "pytorch_model.bin.index.json"
    )
    assert llava_med(str(sharded)).new == frozenset()


def test_weights_in_pickled_shards_are_read(tmp_path):
    (path,) = image_text.LLAVA(tmp_path)
    expected = vlm(path).model.state_dict()
    state = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names = sorted(state)
    files = {f"pytorch_model-0000{n}-of-00002.bin": names[n - 1 :: 2] for n in (1, 2)}
    for file, held in files.items():
        torch.save({name: state[name] for name in held}, tmp_path / file)
    where = {name: file for file, held in files.items() for name in held}
    write(tmp_path, {"metadata": {}, "weight_map": where}, "pytorch_model.bin.index.json")
    for name, value in vlm(path).model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)
    (tmp_path / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(UserError, match=r"1 of 2 files that pytorch_model.bin.index.json"):
        vlm(path)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_pointers_of_git_lfs_are_told_from_files(tmp_path, name):
    path = str(blip_directory(tmp_path))
    if name == "model.safetensors":
        (tmp_path / "pytorch_model.bin").unlink()
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 990\n")
    with pytest.raises(UserError, match=rf"{name} is a pointer of Git LFS .*\n.*git lfs pull"):
        blip.published(path)


def test_an_output_layer_that_is_tied_needs_not_be_there(tmp_path):
    (path,) = image_text.LLAVA(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in state.items() if "lm_head" not in k}, tmp_path / "model.safetensors", {"format": "pt"})
    assert vlm(path).new == {"lm_head.weight"}  # told, and trained in full
    config = json.loads((tmp_path / "config.json").read_text())
    config.pop("tie_word_embeddings", None)
    config["text_config"]["tie_word_embeddings"] = True  # as older files say it
    write(tmp_path, config, "config.json")
    captioner = vlm(path)
    assert captioner.new == frozenset()
    assert captioner.model.lm_head.weight is captioner.model.get_input_embeddings().weight


def test_a_tokenizer_of_sentencepiece_alone_is_read(tmp_path):
    """As LLaVA-Med has it: no tokenizer.json, and <unk> stands for the image."""
    llava_med_directory(tmp_path)
    words = ["a", "ring", "and", "the", "moon", "two", "small", "nodules", "in", "left", "lung", "describe", "image"]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(words[i:] + words[:i]) for i in range(len(words))] * 20),
        model_writer=model,
        vocab_size=330,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    marks = {"0": "<unk>", "1": "<s>", "2": "</s>"}
    plain = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "added_tokens_decoder": {number: {"content": mark, **plain} for number, mark in marks.items()},
        **{"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "legacy": True},
    }
    write(tmp_path, settings, "tokenizer_config.json")
    own = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    captioner = llava_med(str(tmp_path))
    ids, cut = captioner.processor.tokens("a ring  and the moon: 3 µm", 99)
    assert not cut and ids == [*own.encode("a ring  and the moon: 3 µm"), 2]
    assert captioner.processor.text(ids) == "a ring  and the moon: 3 µm"
    assert captioner.prompt_ids.count(0) == captioner.count == 16 and captioner.prompt_ids[0] == 1
    shutil.copytree(tmp_path, tmp_path / "saved", ignore=shutil.ignore_patterns("saved"))
    captioner.save_settings(tmp_path / "saved")
    assert load_tokenizer(str(tmp_path / "saved"))("a ring")["input_ids"] == [1, *own.encode("a ring")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GatedRepoError, "is gated on the Hugging Face hub: .*\n.*hf auth login"),
        (RepositoryNotFoundError, "the Hugging Face hub did not give it: .*\nCheck the name"),
    ],
)
@pytest.mark.parametrize("open", [vlm, blip.published])
def test_what_the_hub_does_not_give_has_an_answer(monkeypatch, error, said, open):
    def refuse(*_, **__):
        raise error("403", response=httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co")))

    monkeypatch.setattr("transformers.utils.hub.hf_hub_download", refuse)
    with pytest.raises(UserError, match=rf"google/medgemma-4b-it .*{said}"):
        open("google/medgemma-4b-it")


def test_targets_that_are_not_there_are_refused_before_weights_are_read(tmp_path):
    for folder, make, open in (
        ("whole", FAMILIES["blip"].make, blip.published),
        ("parts", FAMILIES["vit + bert"].make, fresh),
        ("text", image_text.LLAVA, vlm),
    ):
        (tmp_path / folder).mkdir()
        arguments = make(tmp_path / folder)
        known = "q_proj" if open is vlm else "query"
        open(*arguments, loading=Loading(adapts=(known,)))
        for file in [*(tmp_path / folder).rglob("*.safetensors"), *(tmp_path / folder).rglob("*.bin")]:
            if "tower" not in str(file):
                file.write_bytes(b"no weights")
        with pytest.raises(UserError, match=rf"no linear layer of decoder is named crossattention\.\n.*{known}"):
            open(*arguments, loading=Loading(adapts=(known, "crossattention")))


def test_only_names_for_the_decoder_alone_are_looked_for_so_early():
    for words, names in (
        ([], ()),
        (["lora.target_modules=[c_attn,q_attn]"], ("c_attn", "q_attn")),
        (["lora.target_modules=[c_attn,q_proj]", "lora.parts=[decoder,tower]"], ()),
        (["lora=none"], ()),
    ):
        register()
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = hydra.compose("train", ["data=phantom", "model=tiny", *words])
        assert Recipe.of(cfg).adapts == names
