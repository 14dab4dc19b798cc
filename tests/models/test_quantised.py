"""precision=int8 and nf4 with real bitsandbytes on the CPU: what is rounded, what trains on it, and that it reopens."""

from functools import partial
from itertools import pairwise

import bitsandbytes
import pytest
import torch
from checkpoints import gpt2_directory, vit_directory
from commands import LORA, ROOT
from peft.tuners.lora.bnb import Linear4bit, Linear8bitLt
from test_export import image, of_rococap, opened  # noqa: F401
from transformers.pytorch_utils import Conv1D

from rococap.models.audit import audit, refuse_missing_gradients
from rococap.models.export import export
from rococap.models.lora import add_lora
from rococap.models.tiny import tiny
from rococap.models.vit_gpt2 import fresh
from rococap.recipe.precision import Precision

LAYERS = {
    "int8": (bitsandbytes.nn.Linear8bitLt, Linear8bitLt, 0.01),
    "nf4": (bitsandbytes.nn.Linear4bit, Linear4bit, 0.1),
}
WEIGHTS = pytest.mark.parametrize("weights", LAYERS)


def quantised(weights, build=tiny):
    torch.manual_seed(0)
    return build(loading=Precision("auto", weights).loading("cpu")).eval()


@pytest.fixture(scope="module")
def batch():
    pixels = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 2, 2], [11, 2, 2, 2]])
    return pixels, ids, torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])


@WEIGHTS
def test_the_decoder_is_rounded_and_nothing_else(weights, batch):
    layer, _, tolerance = LAYERS[weights]
    plain, rounded = tiny().eval(), quantised(weights)
    replaced = {name for name, module in rounded.network.named_modules() if isinstance(module, layer)}
    assert replaced == {name for name, m in plain.network.named_modules() if isinstance(m, Conv1D)}
    assert rounded.tower_digest() == plain.tower_digest()  # so that features are shared
    pixels, ids, mask = batch
    with torch.no_grad():
        features = plain.encode(pixels)
        loss, near = plain(features, ids, mask)[0], rounded(features, ids, mask)[0]
    assert loss != near and abs(near - loss) < tolerance * loss


@WEIGHTS
def test_lora_trains_on_it_and_what_is_new_trains_in_full(weights, batch, tmp_path):
    vit, gpt2 = vit_directory(tmp_path / "vit"), gpt2_directory(tmp_path / "gpt2")
    captioner = quantised(weights, partial(fresh, str(vit), str(gpt2)))
    add_lora(captioner, **LORA)
    states = {(part.name, part.state): part for part in audit(captioner)}
    assert states["decoder crossattention", "new"].trainable == states["decoder crossattention", "new"].parameters
    assert states["decoder attn", "frozen"].parameters == 2 * (32 * 96 + 96 + 32 * 32 + 32)
    attention = captioner.model.decoder.transformer.h[0]
    assert isinstance(attention.attn.c_attn, LAYERS[weights][1])
    assert not any(isinstance(m, LAYERS[weights][0]) for m in attention.crossattention.modules())

    pixels, ids, mask = batch
    optimizer = torch.optim.AdamW([p for p in captioner.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(6):
        captioner.eval()  # between the steps, as validation does
        captioner.generate(captioner.encode(pixels), max_new_tokens=2, num_beams=1)
        captioner.train()
        loss, _ = captioner(captioner.encode(pixels), ids, mask)
        loss.backward()
        refuse_missing_gradients(captioner)
        optimizer.step()
        gradients = {name: p.grad.clone() for name, p in captioner.named_parameters() if p.requires_grad}
        optimizer.zero_grad()
        losses.append(loss.item())
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert all(gradient.any() for name, gradient in gradients.items() if ".lora_" in name)


@pytest.mark.parametrize("weights", ["nf4", pytest.param("int8", marks=pytest.mark.slow)])
def test_the_adapter_opens_without_rococap_on_the_same_base(weights, image, tmp_path):  # noqa: F811
    captioner = quantised(weights)
    add_lora(captioner, **LORA)
    with torch.no_grad():
        for name, parameter in captioner.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.05)
    export(captioner, tmp_path)
    image.save(tmp_path / "image.png")
    caption, logits = opened(tmp_path, "adapter", tmp_path / "image.png", tmp_path / "logits.pt")
    expected, theirs = of_rococap(captioner, image)
    assert caption == expected
    torch.testing.assert_close(logits, theirs, rtol=1e-3, atol=1e-3)


def test_full_fine_tuning_of_rounded_weights_is_refused(run):
    done = run(ROOT / "train.py", "data=phantom", "model=tiny", "lora=none", "precision=int8")
    assert done.returncode == 2 and "lora: must not be none with precision=int8" in done.stderr
