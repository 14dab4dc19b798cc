"""What holds of every architecture, on small checkpoints in the published formats."""

import copy
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import pytest
import torch
from blip_checkpoints import stir
from commands import LORA
from families import ALIKE, FAMILIES, Family, loss_of
from PIL import Image

from rococap.models.audit import audit, refuse_missing_gradients
from rococap.models.base import Captioner
from rococap.models.export import export
from rococap.models.loading import Loading
from rococap.models.lora import add_lora, train_in_full
from rococap.models.names import plain_name, within
from rococap.models.processor import HFProcessor
from rococap.types import UserError

NF4 = Loading(weights="nf4")
ADAPT = LORA | {"target_modules": None}


@dataclass
class Made:
    """A family, its checkpoint on disk, and images and captions to run."""

    family: Family
    arguments: list[str]
    images: Any
    labels: Any
    mask: Any

    def open(self, loading: Loading = Loading()) -> Captioner:
        torch.manual_seed(0)
        return self.family.open(*self.arguments, loading=loading).eval()

    @cached_property
    def opened(self) -> Captioner:
        """Not to be changed; a copy takes a fifth of the time that opening takes."""
        return self.open()

    def loss(self, captioner: Captioner, features=None) -> Any:
        features = captioner.encode(self.images) if features is None else features
        return captioner(features, self.labels, self.mask)[0]

    def pixels(self, captioner: Captioner) -> Any:
        return (self.images.float() - captioner.mean) / captioner.std


CHOSEN = [pytest.param(name, marks=[pytest.mark.slow] * (name in ALIKE)) for name in FAMILIES]


@pytest.fixture(scope="module", params=CHOSEN)
def made(request, tmp_path_factory):
    family = FAMILIES[request.param]
    torch.manual_seed(1)
    arguments = family.make(tmp_path_factory.mktemp("family"))
    size = family.open(*arguments, loading=Loading()).processor.image_size
    images = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[5, 6, 7, 8], [9, 10, 2, 2], [11, 2, 2, 2]])
    return Made(family, arguments, images, labels, torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]]))


@pytest.fixture
def captioner(made):
    return copy.deepcopy(made.opened)


@torch.no_grad()
def test_the_loss_from_features_is_that_of_the_whole_model(made, captioner):
    expected = loss_of(made.family.logits(captioner, made.pixels(captioner), made.labels), made.labels, made.mask)
    loss, count = captioner(captioner.encode(made.images), made.labels, made.mask)
    assert count == made.mask.sum()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("beams", [1, 3])
@torch.no_grad()
def test_captions_from_features_are_those_from_pixels(made, captioner, beams):
    differ = False
    for seed in range(5):  # some weights end every caption at once
        torch.manual_seed(seed)
        stir(captioner.model)
        ids = made.family.ids(captioner, made.pixels(captioner), max_new_tokens=6, num_beams=beams)
        expected = [captioner.processor.text(row) for row in ids.tolist()]
        said = captioner.generate(captioner.encode(made.images), max_new_tokens=6, num_beams=beams)
        assert said == expected
        differ = differ or len(set(said)) > 1
    assert differ


def test_the_loss_moves_with_the_image(made, captioner):
    """Some decoders take features and ignore them without a word."""
    features = captioner.encode(made.images).detach().requires_grad_()
    (moved,) = torch.autograd.grad(made.loss(captioner, features), features)
    assert made.family.blind_at_first or moved.flatten(1).any(dim=1).all()


def test_lora_reaches_the_decoder_alone_and_every_part_that_trains_has_a_gradient(made, captioner):
    add_lora(captioner, **ADAPT)
    adapted = [plain_name(name) for name, p in captioner.model.named_parameters() if ".lora_" in name]
    assert adapted and {captioner.part(name) for name in adapted} == {"decoder"}
    assert not captioner.tower_trains
    for checkpointed in (False, True):
        if checkpointed:
            captioner.network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        captioner.train()
        captioner.zero_grad()
        made.loss(captioner).backward()
        refuse_missing_gradients(captioner)
    before = {name: p.grad.clone() for name, p in captioner.named_parameters() if p.requires_grad}
    assert any(gradient.any() for gradient in before.values())


def test_lora_on_the_tower_is_a_choice(made, captioner):
    add_lora(captioner, **(ADAPT | {"parts": ["tower", "decoder"], "rank": 2}))
    adapted = {captioner.part(plain_name(name)) for name, _ in captioner.model.named_parameters() if ".lora_" in name}
    assert adapted == {"tower", "decoder"} and captioner.tower_trains
    made.loss(captioner.train()).backward()
    refuse_missing_gradients(captioner)


@pytest.mark.parametrize("tower", [False, True])
def test_full_fine_tuning_trains_all_that_takes_part(made, captioner, tower):
    whole = tower or any(captioner.encodes(name) for name in captioner.new)
    train_in_full(captioner, train_vision_tower=whole)
    made.loss(captioner.train()).backward()
    refuse_missing_gradients(captioner)
    assert audit(captioner) and captioner.tower_trains == whole
    frozen = {name for name, p in captioner.named_weights() if not (p.requires_grad or within(name, captioner.unused))}
    assert bool(frozen) != whole and all(map(captioner.encodes, frozen))


def test_the_audit_lists_every_parameter_once_and_tells_tower_from_decoder(made, captioner):
    add_lora(captioner, **ADAPT)
    parts = audit(captioner)
    assert sum(part.parameters for part in parts) == sum(p.numel() for p in captioner.network.parameters())
    assert {"tower", "decoder"} <= {part.name.split()[0] for part in parts} <= {"tower", "projector", "decoder"}


def test_rounded_weights_give_gradients(made):
    if not made.family.quantised:
        pytest.skip("this family is not rounded")
    captioner = made.open(NF4)
    kinds = {captioner.part(name) for name, m in captioner.model.named_modules() if type(m).__name__ == "Linear4bit"}
    assert kinds == {"decoder"}
    add_lora(captioner, **ADAPT)
    made.loss(captioner.train()).backward()
    refuse_missing_gradients(captioner)
    rounded, plain = made.loss(captioner.eval()), made.loss(made.opened)
    assert torch.isfinite(rounded) and abs(rounded - plain) < 0.2 * plain


@torch.no_grad()
def test_weights_published_in_another_half_precision_go_with_autocast(made):
    """Joining tensors of fp16 and bf16 is refused by autocast."""
    loading = Loading(dtype=torch.float16, compute=torch.bfloat16)
    captioner, plain = made.open(loading), made.opened
    assert torch.float16 not in {p.dtype for p in captioner.parameters()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = captioner.encode(made.images)
        loss = made.loss(captioner, features.float())
        captioner.generate(features.float(), max_new_tokens=3, num_beams=1)
    assert abs(loss - made.loss(plain)) < 0.1 * made.loss(plain)


# What LoRA's kinds change is PEFT's affair; what an architecture's export lacks shows with the tower, or whole.
KINDS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("adapter with DoRA", "adapter from PiSSA")]


@pytest.mark.parametrize("how", ["adapter", "adapter and tower", "model", *KINDS])
def test_the_export_opens_without_rococap_to_equal_logits(made, captioner, tmp_path, monkeypatch, capsys, how):
    if how == "model":
        train_in_full(captioner, train_vision_tower=any(captioner.encodes(name) for name in captioner.new))
    else:
        kind = {"use_dora": "DoRA" in how, "init": "pissa" if "PiSSA" in how else "default"}
        add_lora(captioner, **(ADAPT | kind | {"train_vision_tower": "tower" in how}))
        trained = {name for name, p in captioner.named_weights() if p.requires_grad and captioner.encodes(name)}
        whole = {name for name, _ in captioner.named_weights() if captioner.encodes(name)}
        assert "tower" not in how or trained == {name for name in whole if not within(name, captioner.unused)}
    with torch.no_grad():
        for parameter in captioner.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    folder = export(captioner.eval(), tmp_path)
    image = Image.effect_noise((60, 44), 60).convert("RGB")
    image.save(tmp_path / "image.png")
    pixels = torch.from_numpy(captioner.processor.pixels(image))[None]
    with torch.no_grad():
        expected = made.family.logits(captioner, (pixels.float() - captioner.mean) / captioner.std, made.labels[:1])
        caption = captioner.generate(captioner.encode(pixels), max_new_tokens=128, num_beams=1)[0]
    blocks = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    code = "\n".join(block.partition("```")[0] for block in blocks).replace('"IMAGE"', repr("image.png"))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rococap"]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails: the lines stand by themselves
    opened: dict[str, Any] = {"__name__": "readme"}
    exec(code, opened)
    assert capsys.readouterr().out.strip() == caption
    with torch.no_grad():
        exec(made.family.reopened, opened | (given := {"labels": made.labels[:1]}), given)
    torch.testing.assert_close(given["logits"], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_fewer_visual_tokens_where_there_is_a_grid(made, captioner):
    features = captioner.encode(made.images)
    if captioner.grid is None:
        return
    rows, columns = captioner.grid
    assert rows * columns <= features.shape[1]
    if not made.family.pools:
        with pytest.raises(UserError, match=r"model\.visual_tokens"):
            made.family.open(*made.arguments, visual_tokens=1)
        return
    few = made.family.open(*made.arguments, visual_tokens=1).eval()
    lead = features.shape[1] - rows * columns
    averaged = few.encode(made.images)
    assert few.grid == (1, 1) and averaged.shape[1] == lead + 1
    torch.testing.assert_close(averaged[:, lead], features[:, lead:].mean(dim=1))
    assert few.encoding != captioner.encoding


@torch.no_grad()
def test_where_it_looks_covers_the_patches(made, captioner):
    if type(captioner).attend is Captioner.attend:
        return
    seen = captioner.attend(captioner.encode(made.images), ["a ring", "", "a moon"])
    rows, columns = captioner.grid
    assert seen.shape[0] == 3 and seen.shape[2] == rows * columns
    assert (seen >= 0).all() and 0.05 < float(seen.sum(dim=2).mean()) <= 1.0001


def test_pixels_are_what_the_checkpoints_own_image_processor_makes(made, captioner, tmp_path):
    from transformers import AutoImageProcessor

    captioner.settings.save(tmp_path)
    own = AutoImageProcessor.from_pretrained(tmp_path, use_fast=False)
    for size in ((60, 44), (44, 60), (300, 301), (31, 200)):
        image = Image.effect_noise(size, 60).convert("RGB")
        if made.family.squared:
            image = image.resize(captioner.processor.image_size[::-1], captioner.settings.resample)
        expected = torch.as_tensor(own(image, return_tensors="pt")["pixel_values"])
        if made.family.squared:
            expected = made.family.squared(expected, captioner.processor.image_size)
        raw = torch.from_numpy(captioner.processor.pixels(image))[None]
        ours = ((raw.float() - captioner.mean) / captioner.std).reshape(-1)
        torch.testing.assert_close(ours, expected.reshape(-1), atol=1e-4, rtol=0)


def test_features_hang_on_normalising_and_on_weights(made, captioner):
    digests = {captioner.tower_digest()}
    with torch.no_grad():
        weights = chain(captioner.model.named_parameters())
        next(p for name, p in weights if captioner.encodes(name)).view(-1)[0] += 1
    assert captioner.tower_digest() not in digests
    assert {"architecture", "config", "scale", "mean", "std", "grid"} <= captioner.encoding.keys()


@torch.no_grad()
def test_what_stands_before_a_caption_is_seen_and_not_foretold(made, captioner, monkeypatch):
    """The loss of a caption after a prompt is that of both less that of the prompt, and captions continue it."""
    features = captioner.encode(made.images)
    both, whole = torch.tensor([[7, 8, 5, 6]] * 3), torch.ones(3, 4, dtype=torch.long)
    after = torch.tensor([[0, 0, 1, 1]] * 3)
    loss, count = captioner(features, both, after)
    parts = captioner(features, both, whole)[0] - captioner(features, both[:, :2], whole[:, :2])[0]
    assert count == 6
    torch.testing.assert_close(loss, parts, rtol=1e-4, atol=1e-3)
    monkeypatch.setattr(HFProcessor, "text", lambda self, ids: ids)
    image = getattr(captioner, "image_id", None)
    compared = 0
    for seed in range(5):  # some weights end every caption at once
        torch.manual_seed(seed)
        stir(captioner.model)
        features = captioner.encode(made.images)
        nothing = torch.zeros(3, 0, dtype=torch.long)
        free = captioner.generate(features, max_new_tokens=6, num_beams=1, given=nothing)
        unfit = {captioner.processor.end_token_id, image}  # such weights may name the image's token too
        rows = [row for row, ids in enumerate(free) if not unfit & set(ids[:2])]
        if rows:
            given = torch.tensor([free[row][:2] for row in rows])
            continued = captioner.generate(features[rows], max_new_tokens=4, num_beams=1, given=given)
            for row, ids in zip(rows, continued, strict=True):
                assert until_end(captioner, ids) == until_end(captioner, free[row][2:])
                compared += 1
    assert compared


def until_end(captioner, ids):
    """A caption's ids without what fills its row."""
    end = captioner.processor.end_token_id
    return ids[: ids.index(end)] if end in ids else ids
