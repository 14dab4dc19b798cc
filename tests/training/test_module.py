"""Through the real Trainer: a step's gradient is that of the mean over its tokens, and captions learn to end."""

from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from commands import DATA, LORA, shape

from rococap.data.datamodule import CaptionData
from rococap.data.kept import keys
from rococap.data.kept.features import Encoder
from rococap.data.phantom.source import Phantom
from rococap.models.base import features_of
from rococap.models.lora import add_lora, train_in_full
from rococap.models.tiny import tiny
from rococap.training.module import CaptionModule
from rococap.training.optim import constant
from rococap.training.train import set_up_training
from rococap.types import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))


def fit(captioner, images, batch_size, optimizer, **settings):
    """Train by CaptionModule on the first images of the phantom; gives the data."""
    data = CaptionData(
        Phantom(train=images, valid=1, test=1, seed=0), captioner.processor, batch_size=batch_size, **DATA
    )
    module = CaptionModule(
        captioner, optimizer, lambda o, steps: constant(o, steps, warmup=0.0), None, {"max_new_tokens": 8}, seed=0
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        **settings,
    )
    trainer.fit(module, datamodule=data)
    return data


def adapted():
    """The tiny captioner under LoRA that already does something, the same each time, without dropout."""
    torch.manual_seed(0)
    captioner = tiny()
    for module in captioner.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    add_lora(captioner, **LORA)
    with torch.no_grad():
        for name, parameter in captioner.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.02)
    return captioner


def step(batch_size, accumulate, images=8, **settings):
    """What one step of plain gradient descent with rate 1 took from each parameter: the gradient."""
    captioner = adapted()
    before = {name: value.clone() for name, value in captioner.trainable_state().items()}
    data = fit(
        captioner, images, batch_size, lambda groups: torch.optim.SGD(groups, lr=1.0),
        max_epochs=1, accumulate_grad_batches=accumulate, **settings,
    )  # fmt: skip
    return {name: before[name] - value for name, value in captioner.trainable_state().items()}, data


def flat(gradients):
    return torch.cat([gradients[name].flatten() for name in sorted(gradients)])


def gradient_of(loss, captioner):
    named = {name: p for name, p in captioner.named_parameters() if p.requires_grad}
    return flat(dict(zip(named, torch.autograd.grad(loss, named.values()), strict=True)))


def test_two_micro_batches_of_four_are_one_batch_of_eight():
    whole, data = step(batch_size=8, accumulate=1)
    halves, _ = step(batch_size=4, accumulate=2)
    quarters, _ = step(batch_size=2, accumulate=4)

    captioner = adapted().train()
    losses = [captioner(captioner.encode(b.pixel_values), b.input_ids, b.attention_mask) for b in batches(data, 4)]
    (first, few), (second, many) = losses
    assert few < many  # the micro-batches have captions of unequal length
    mean = gradient_of((first + second) / (few + many), captioner)
    losses = [captioner(captioner.encode(b.pixel_values), b.input_ids, b.attention_mask) for b in batches(data, 4)]
    mean_of_means = gradient_of(sum(loss / count for loss, count in losses) / 2, captioner)

    def error(gradient):
        return float((gradient - mean).norm() / mean.norm())

    assert [error(flat(g)) < 1e-5 for g in (whole, halves, quarters)] == [True] * 3
    assert error(mean_of_means) > 1e-3  # what they would be if each micro-batch counted the same


@pytest.mark.parametrize(("kept", "error"), [(np.float16, 1e-3), (np.float32, 1e-6)])
def test_kept_features_give_the_same_loss_and_gradient(kept, error):
    captioner = adapted().train()
    encoder = Encoder(captioner.tower_digest(), captioner.encoding, "fp32", shape(captioner), kept, captioner.encode)
    source = Phantom(train=8, valid=1, test=1, seed=0)
    results = []
    for choice in (None, encoder):
        data = CaptionData(source, captioner.processor, batch_size=8, **DATA, encoder=choice)
        [batch] = batches(data, 8)
        assert (batch.features is None) == (choice is None)
        loss, count = captioner(features_of(captioner, batch), batch.input_ids, batch.attention_mask)
        results.append((float(loss.detach() / count), gradient_of(loss / count, captioner)))
    (loss, gradient), (kept_loss, kept_gradient) = results
    assert kept_loss == pytest.approx(loss, rel=error)
    assert float((kept_gradient - gradient).norm() / gradient.norm()) < 10 * error


def test_validations_loss_is_the_mean_over_all_tokens():
    captioner = adapted().eval()
    data = CaptionData(Phantom(train=1, valid=5, test=1, seed=0), captioner.processor, batch_size=2, **DATA)
    module = CaptionModule(captioner, None, None, None, {}, seed=0)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, use_distributed_sampler=False)
    trainer.validate(module, datamodule=data, verbose=False)
    with torch.no_grad():
        parts = [captioner(features_of(captioner, b), b.input_ids, b.attention_mask) for b in data.val_dataloader()]
    losses, counts = (torch.tensor(each, dtype=torch.float64) for each in zip(*parts, strict=True))
    found = float(trainer.callback_metrics["val/loss"])
    assert found == pytest.approx(float(losses.sum() / counts.sum()), rel=1e-5)
    assert found != pytest.approx(float((losses / counts).mean()), rel=1e-4)


def test_features_of_another_tower_or_layout_are_never_taken():
    def key(captioner):
        pixels = keys.Images.of("dataset", captioner.processor)
        return keys.Features(pixels, captioner.tower_digest(), captioner.encoding, "fp32", "float16").digest()

    same = {key(adapted()), key(tiny())}
    assert len(same) == 1  # what LoRA adds to the decoder changes no feature
    moved, scaled = tiny(), tiny()
    with torch.no_grad():
        next(moved.model.encoder.parameters()).view(-1)[0] += 1e-3
    others = {key(moved), key(tiny(visual_tokens=49))}
    for change in ({"mean": (0.4,) * 3}, {"std": (0.4,) * 3}, {"scale": 1.0}):
        scaled.settings = replace(tiny().settings, **change)
        others.add(key(scaled))
    assert len(same | others) == 6


def batches(data, size):
    """The training images in batches of captions of similar length, the shortest first."""
    dataset = data.dataset("train")
    order = sorted(range(len(dataset.tokens)), key=lambda index: len(dataset.tokens[index]))
    return [dataset[order[first : first + size]] for first in range(0, len(order), size)]


def test_a_trained_captioner_ends_its_captions():
    torch.manual_seed(0)
    captioner = tiny()
    decoder = captioner.model.decoder
    captioner.model.decoder = type(decoder)(decoder.config)  # random: it knows no end token, and no word
    train_in_full(captioner, train_vision_tower=False)
    data = CaptionData(Phantom(train=16, valid=1, test=1, seed=0), captioner.processor, batch_size=16, **DATA)
    dataset = data.dataset("train")
    pixels = dataset[list(range(16))].pixel_values
    limit = max(map(len, dataset.tokens)) + 8

    def lengths():
        captioner.eval()
        start = torch.full((16, 1), captioner.start_token_id)
        with torch.no_grad():
            ids = captioner.model.generate(
                encoder_outputs=(captioner.encode(pixels),),
                decoder_input_ids=start,
                generation_config=captioner.generation,
                max_new_tokens=limit,
            )[:, 1:]
        ended = ids == captioner.processor.tokenizer.eos_token_id
        return [int(row.int().argmax()) + 1 if row.any() else None for row in ended]

    assert abs(sum(n or limit for n in lengths()) / 16 - sum(map(len, dataset.tokens)) / 16) > 4  # not by chance
    fit(captioner, 16, 8, lambda groups: torch.optim.AdamW(groups, lr=3e-3), max_epochs=40)
    trained = lengths()
    assert None not in trained
    real = sum(map(len, dataset.tokens)) / 16
    assert real / 2 < sum(trained) / 16 < 1.5 * real  # not at once, and not when the limit nears


@pytest.mark.parametrize("setting", ["activations", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_step_computed_otherwise_has_the_same_gradient(setting):
    plain, other = adapted().train(), adapted().train()
    set_up_training(other, **{"activations": False, "compiled": False, setting: True})
    ids, mask = torch.randint(5, 200, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    features = torch.randn(3, *shape(plain))
    expected, found = (gradient_of(c(features, ids, mask)[0], c) for c in (plain, other))
    assert float((found - expected).norm() / expected.norm()) < 1e-4
    assert plain.trainable_state().keys() == other.trainable_state().keys()


def test_checkpointed_activations_are_not_kept():
    def kept(captioner):
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        features = torch.randn(8, *shape(captioner))
        ids, mask = torch.randint(5, 200, (8, 30)), torch.ones(8, 30, dtype=torch.long)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            captioner(features, ids, mask)
        return count

    plain, other = adapted().train(), adapted().train()
    set_up_training(other, activations=True, compiled=False)
    assert kept(other) < 0.7 * kept(plain)


def test_a_decoder_that_does_not_look_at_the_image_is_refused_in_the_first_step():
    """Some architectures take features and ignore them without a word."""
    captioner = adapted()
    look = captioner._decode
    captioner._decode = lambda features, ids: look(torch.ones_like(features), ids)
    with pytest.raises(UserError, match="nothing in this decoder looks at it"):
        fit(captioner, 8, 4, lambda groups: torch.optim.SGD(groups, lr=1.0), max_epochs=1)
