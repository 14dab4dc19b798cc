import pickle

import numpy as np
import pytest
import torch
from checkpoints import directory_of_2021, gpt2_directory, vit_directory
from commands import LORA, ROOT
from PIL import Image
from transformers import ViTImageProcessorPil

from rococap.models.audit import audit, refuse_missing_gradients
from rococap.models.lora import add_lora, train_in_full
from rococap.models.tiny import tiny
from rococap.models.vit_gpt2 import fresh, published
from rococap.types import UserError


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return str(vit_directory(folder / "vit")), str(gpt2_directory(folder / "gpt2"))


@pytest.fixture
def images():
    return torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def batch(images):
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 2, 2], [11, 2, 2, 2]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])
    return images, ids, mask


def test_a_checkpoint_as_published_in_2021_loads_to_the_same_model(tmp_path, batch):
    folder, original = directory_of_2021(tmp_path / "old")
    captioner = published(str(folder)).eval()
    images, ids, mask = batch
    assert captioner.new == frozenset()
    pixels = (images.float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        expected = original.encoder(pixel_values=pixels).last_hidden_state
        features = captioner.encode(images)
        torch.testing.assert_close(features, expected)
        start = torch.full((3, 1), captioner.start_token_id)
        logits = original(encoder_outputs=(expected,), decoder_input_ids=torch.cat([start, ids[:, :-1]], dim=1)).logits
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
        loss, count = captioner(features, ids, mask)
    assert count == 9
    torch.testing.assert_close(loss, (losses * mask.flatten()).sum())
    # max_length=16 of its config must not decide how long captions get
    assert all(isinstance(text, str) for text in captioner.generate(features, max_new_tokens=40, num_beams=1))
    captioner.save_network(tmp_path / "again")  # refused by transformers 5 with the old settings


def test_pixels_are_what_the_checkpoints_own_processor_makes(tmp_path):
    folder, _ = directory_of_2021(tmp_path / "old")
    captioner = published(str(folder))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8))
    expected = ViTImageProcessorPil(size={"height": 224, "width": 224})(image, return_tensors="pt").pixel_values
    raw = torch.from_numpy(captioner.processor.pixels(image))[None]
    torch.testing.assert_close((raw.float() - captioner.mean) / captioner.std, expected, atol=1e-5, rtol=0)
    assert raw.dtype == torch.uint8 and raw.float().std() > 10  # not rescaled twice


def test_tokens_end_with_the_end_token_and_never_hold_it_elsewhere():
    processor = pickle.loads(pickle.dumps(tiny().processor))
    end = processor.tokenizer.eos_token_id
    ids, cut = processor.tokens("a ring <|endoftext|> and a moon", 128)
    assert ids.count(end) == 1 and ids[-1] == end and not cut
    ids, cut = processor.tokens("a ring and a moon " * 100, 16)
    assert len(ids) == 16 and ids[-1] == end and cut
    assert len(processor.tokens("word " * 5000, 10_000)[0]) == processor.max_positions


def test_visual_tokens_average_the_patches_and_keep_the_class_token(batch):
    images = batch[0]
    every, few = tiny().eval(), tiny(visual_tokens=49).eval()
    with torch.no_grad():
        features, pooled = every.encode(images), few.encode(images)
        seen = few.attend(pooled, ["a ring", "", "a moon"])
    assert (every.grid, few.grid) == ((14, 14), (7, 7))
    assert pooled.shape[1] == 50 and torch.equal(pooled[:, 0], features[:, 0])
    corner = features[:, [1, 2, 15, 16]].mean(dim=1)  # rows of 14 patches follow the class token
    torch.testing.assert_close(pooled[:, 1], corner)
    assert seen.shape[2] == 49 and float(seen.sum(dim=2).max()) <= 1 + 1e-5


@pytest.mark.parametrize("count", [50, 0, -4, 225])
def test_visual_tokens_that_fit_no_grid_are_refused(count):
    with pytest.raises(UserError, match=f"model.visual_tokens={count}: .*14 x 14 patches.\nTake one of 196, 49, 4, 1"):
        tiny(visual_tokens=count)


def test_padding_changes_neither_loss_nor_count(batch):
    captioner = tiny().eval()
    images, ids, mask = batch
    with torch.no_grad():
        features = captioner.encode(images)
        together, count = captioner(features, ids, mask)
        rows = [
            captioner(features[i : i + 1], ids[i : i + 1, : mask[i].sum()], mask[i : i + 1, : mask[i].sum()])
            for i in range(3)
        ]
    torch.testing.assert_close(together, sum(loss for loss, _ in rows))
    assert count == sum(n for _, n in rows) == 9


def test_fresh_parts_join_with_new_modules_that_train_in_full(parts, batch):
    captioner = fresh(*parts)
    assert {name.split(".")[4] for name in captioner.new if ".h." in name} == {"crossattention", "ln_cross_attn"}
    assert {"enc_to_dec_proj.weight", "enc_to_dec_proj.bias"} <= captioner.new
    add_lora(captioner, **LORA)
    states = {(part.name, part.state): part for part in audit(captioner)}
    assert states["decoder crossattention", "new"].trainable > 0
    assert ("decoder crossattention", "LoRA") not in states
    assert states["decoder attn", "LoRA"].trainable > 0
    assert not captioner.tower_trains and not captioner.train().model.encoder.training
    images, ids, mask = batch
    loss, _ = captioner(captioner.encode(images), ids, mask)
    loss.backward()
    refuse_missing_gradients(captioner)


def test_the_tower_trains_when_asked(parts, batch):
    captioner = fresh(*parts)
    add_lora(captioner, **(LORA | {"train_vision_tower": True}))
    audit(captioner)
    images, ids, mask = batch
    captioner(captioner.encode(images), ids, mask)[0].backward()
    refuse_missing_gradients(captioner)
    assert captioner.tower_trains and captioner.train().model.encoder.training


def test_full_fine_tuning_trains_every_weight(batch):
    captioner = tiny()
    train_in_full(captioner, train_vision_tower=True)
    assert all(part.trainable == part.parameters for part in audit(captioner))
    images, ids, mask = batch
    captioner(captioner.encode(images), ids, mask)[0].backward()
    refuse_missing_gradients(captioner)


def test_attention_follows_the_patches_wherever_they_lie(images):
    captioner = tiny().eval()
    with torch.no_grad():
        features = captioner.encode(images)
    turned = torch.cat([features[:, :1], features[:, 1:].flip(1)], dim=1)  # the class token stays first
    seen, other = (captioner.attend(each, ["one small nodule"] * 3) for each in (features, turned))
    torch.testing.assert_close(seen.flip(2), other)
    assert not torch.allclose(seen, other)


@pytest.mark.parametrize(("alpha", "scaling"), [(None, 2.0), (6, 1.5)])
def test_an_update_is_scaled_by_alpha_over_rank(alpha, scaling):
    captioner = tiny()
    add_lora(captioner, **(LORA | {"rank": 4, "alpha": alpha}))
    layers = [module for module in captioner.network.modules() if hasattr(module, "lora_A")]
    assert layers and {layer.scaling["default"] for layer in layers} == {scaling}


def test_frozen_random_modules_are_refused(parts):
    captioner = fresh(*parts)
    captioner.network.requires_grad_(False)
    with pytest.raises(UserError, match="random values and are frozen"):
        audit(captioner)


def test_a_parameter_without_gradient_is_refused(batch):
    captioner = tiny()
    train_in_full(captioner, train_vision_tower=False)
    captioner.network.unused = torch.nn.Linear(2, 2)
    images, ids, mask = batch
    captioner(captioner.encode(images), ids, mask)[0].backward()
    with pytest.raises(UserError, match=r"got no gradient.*unused"):
        refuse_missing_gradients(captioner)


def test_an_unknown_target_module_is_named_with_those_there_are():
    with pytest.raises(UserError, match=r"no linear layer of decoder is named c_atn.\nThere are: .*c_attn"):
        add_lora(tiny(), **(LORA | {"target_modules": ["c_atn"]}))


def test_attention_maps_cover_the_patches(parts, images):
    captioner = fresh(*parts).eval()
    add_lora(captioner, **LORA)
    captioner.eval()
    features = captioner.encode(images)
    maps = captioner.attend(features, ["a ring", "a moon and a star", ""])
    assert maps.shape[0] == 3 and maps.shape[2] == 196
    sums = maps.sum(dim=-1)
    assert (sums > 0.9).all() and (sums <= 1.0001).all()
    assert captioner.generate(features, max_new_tokens=3, num_beams=1)  # and sdpa is back
    assert captioner.model.decoder.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("case", ["empty", "gpt2", "absent", "broken"])
def test_what_is_no_captioner_is_refused(tmp_path, parts, case):
    folder = tmp_path / "dir"
    if case == "broken":
        directory_of_2021(folder)
        (folder / "pytorch_model.bin").write_bytes(b"no weights")
    elif case != "absent":
        folder.mkdir()
    path = parts[1] if case == "gpt2" else str(folder)
    with pytest.raises(UserError) as error:
        published(path)
    assert len(str(error.value).splitlines()) <= 2 and path in str(error.value)


def test_a_model_whose_parts_are_new_can_not_caption_yet(parts, run):
    words = ["--model", "vit_gpt2_fresh", f"model.encoder={parts[0]}", f"model.decoder={parts[1]}", "image.png"]
    done = run(ROOT / "scripts" / "caption.py", *words)
    assert done.returncode == 2 and "have random values" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_vit_b16_with_gpt2_takes_two_steps_at_full_size(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel, ViTConfig, ViTModel

    vit = vit_directory(tmp_path / "vit")
    ViTModel(ViTConfig()).save_pretrained(vit)
    decoder = gpt2_directory(tmp_path / "gpt2")
    GPT2LMHeadModel(GPT2Config()).save_pretrained(decoder)
    captioner = fresh(str(vit), str(decoder))
    add_lora(captioner, **(LORA | {"rank": 16}))
    parts = audit(captioner)
    assert sum(part.parameters for part in parts if part.state != "kept") > 239e6
    optimizer = torch.optim.AdamW([p for p in captioner.parameters() if p.requires_grad], lr=1e-3)
    ids = torch.randint(0, 1000, (2, 30), generator=torch.Generator().manual_seed(0))
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    losses = []
    for _ in range(2):
        loss, count = captioner(captioner.encode(images), ids, torch.ones_like(ids))
        (loss / count).backward()
        refuse_missing_gradients(captioner)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    assert losses[1] < losses[0]
