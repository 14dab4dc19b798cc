"""A detector behind the verbs that it shares with captioners, on the small tower that comes along."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from rococap.models.audit import audit, refuse_missing_gradients
from rococap.models.base import Model
from rococap.models.checkpoint import load_checkpoint
from rococap.models.detector import detector
from rococap.models.export import export
from rococap.models.label_loss import gold_of, label_loss
from rococap.models.loading import Loading
from rococap.models.lora import add_lora, train_in_full
from rococap.models.names import plain_name
from rococap.models.tiny import DIRECTORY, tiny, tiny_detector
from rococap.types import Concept, Example, Labels, Said, UserError

LABELS = Labels(tuple(Concept(f"C{n}", f"concept {n}") for n in range(1, 6)), (40, 30, 20, 10, 1), 50)
IMAGES = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LORA = {"rank": 4, "alpha": None, "dropout": 0.0, "target_modules": None, "train_vision_tower": False}
LORA |= {"parts": ["tower"], "use_dora": False, "use_rslora": False, "init": "default"}


def made(**settings):
    torch.manual_seed(0)
    return tiny_detector(**({"labels": LABELS, "visual_tokens": 49} | settings)).eval()


def example(*cuis):
    return Example("a", None, (), tuple(map(Concept, cuis)))


def test_a_label_is_a_token_and_what_is_no_label_has_none():
    processor = made().processor
    assert processor.tokens("C3;C1;C77", 1) == ([2, 0], False) and processor.tokens("", 9) == ([], False)
    assert made().answer(example("c3", " C1", "C77")) == "C3;C1;C77" and made().answer(example()) == ""


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls"])
def test_the_loss_is_the_mean_over_images_and_labels_however_they_are_shared_out(pooling):
    model = made(pooling=pooling)
    features = model.encode(IMAGES)
    ids, mask = torch.tensor([[0, 2], [4, 0], [0, 0]]), torch.tensor([[1, 1], [1, 0], [0, 0]])
    gold = torch.tensor([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    assert torch.equal(gold_of(ids, mask, gold), gold)
    loss, count = model(features, ids, mask)
    expected = functional.binary_cross_entropy_with_logits(model.logits(features), gold, reduction="sum")
    torch.testing.assert_close(loss, expected)
    assert count == 15
    parts = [model(features[i : i + 1], ids[i : i + 1], mask[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(sum(loss for loss, _ in parts), loss)


def test_the_asymmetric_loss_is_its_authors():
    """By the formula of Ridnik et al. (2021): focusing of 1 and 4, probabilities of negatives lowered by 0.05."""
    logits, gold = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)) * 3, torch.zeros(4, 5)
    gold[0, :3], gold[1, 4] = 1, 1
    p = logits.sigmoid().double()
    shifted = (p - 0.05).clamp(min=0)
    expected = torch.where(gold > 0, -(1 - p) * p.log(), -(shifted**4) * (1 - shifted).log())
    torch.testing.assert_close(label_loss(logits, gold, "asymmetric").double(), expected, rtol=1e-4, atol=1e-6)
    easy = label_loss(torch.tensor([[-4.0]]), torch.zeros(1, 1), "asymmetric")
    assert easy == 0 and label_loss(torch.tensor([[-4.0]]), torch.zeros(1, 1), "bce") > 0


def test_at_first_each_label_is_as_likely_as_it_is_frequent():
    model = made()
    with torch.no_grad():
        model.model.head.weight.zero_()
    found = model.predict(model.encode(IMAGES), {})[0].probabilities
    np.testing.assert_allclose(found, [40.5 / 51, 30.5 / 51, 20.5 / 51, 10.5 / 51, 1.5 / 51], rtol=1e-5)


def test_what_is_predicted_follows_the_thresholds_that_are_chosen_on_validation():
    model = made(threshold="global")
    said = [Said("", np.float32(row)) for row in ([0.4, 0.1, 0.3, 0, 0], [0.1, 0.35, 0, 0, 0], [0.1, 0.1, 0, 0, 0])]
    texts = model.settle(said, [example("C1", "C3"), example("C2"), example()])
    assert texts == ["C1;C3", "C2", ""] and 0.1 < model.thresholds[0] <= 0.3
    assert model.made == (f"threshold:global {float(model.thresholds[0]):.4f}",)
    fixed = made(threshold=0.36)
    assert fixed.settle(said, [example("C1")] * 3) == ["C1", "", ""] and fixed.made == ("threshold:0.3600",)
    assert model.settles and not fixed.settles


def test_the_checkpoint_brings_labels_and_thresholds_and_is_of_no_other_model():
    model = made()
    model.thresholds.fill_(0.3)
    train_in_full(model, train_vision_tower=False)
    checkpoint = {"state_dict": model.trainable_state(), "facts": model.facts()}
    again = made()
    train_in_full(again, train_vision_tower=False)
    load_checkpoint(again, checkpoint)
    assert torch.equal(again.thresholds, model.thresholds)
    captioner = tiny()
    with pytest.raises(UserError, match="is of a detector of concepts, not of a captioner"):
        load_checkpoint(captioner, checkpoint)
    with pytest.raises(UserError, match="is of a captioner, not of a detector of concepts"):
        load_checkpoint(again, {"state_dict": captioner.trainable_state()})
    fewer = Labels(LABELS.concepts[:4], LABELS.counts[:4], 50)
    with pytest.raises(UserError, match="knows 5 labels, and they are not the 4 of this run"):
        load_checkpoint(made(labels=fewer), checkpoint)


@pytest.mark.parametrize("how", ["head", "LoRA on the tower", "tower"])
def test_what_trains_has_gradients_and_all_is_listed(how):
    model = made()
    if how == "LoRA on the tower":
        add_lora(model, **LORA)
        adapted = {plain_name(name) for name, _ in model.model.named_parameters() if ".lora_" in name}
        assert adapted and {model.part(name) for name in adapted} == {"tower"}
    else:
        train_in_full(model, train_vision_tower=how == "tower")
    assert model.tower_trains == (how != "head")
    parts = audit(model)
    assert sum(part.parameters for part in parts) == sum(p.numel() for p in model.network.parameters())
    model.checkpoint_activations()
    loss, _ = model.train()(model.encode(IMAGES), torch.tensor([[0], [1], [2]]), torch.ones(3, 1, dtype=torch.long))
    loss.backward()
    refuse_missing_gradients(model)


def test_it_shows_where_each_label_looks():
    model = made()
    maps = model.attend(model.encode(IMAGES))
    assert maps.shape == (3, 5, 49) and (maps > 0).all() and (maps.sum(dim=-1) <= 1).all()


@pytest.mark.parametrize("how", ["model", "adapter"])
def test_the_export_opens_without_rococap_to_the_same_concepts(tmp_path, monkeypatch, capsys, how):
    model = made()
    if how == "adapter":
        add_lora(model, **LORA)
    else:
        train_in_full(model, train_vision_tower=True)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    model.thresholds.copy_(torch.tensor([0.1, 0.9, 0.1, 0.9, 0.0]))
    folder = export(model.eval(), tmp_path)
    image = Image.effect_noise((300, 200), 60).convert("RGB")
    image.save(tmp_path / "image.png")
    pixels = torch.from_numpy(model.processor.pixels(image))[None]
    with torch.no_grad():
        said = model.predict(model.encode(pixels), {})[0]
    blocks = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    code = "\n".join(block.partition("```")[0] for block in blocks).replace('"IMAGE"', repr("image.png"))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rococap"]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails: the lines stand by themselves
    opened = {"__name__": "readme"}
    exec(code, opened)
    assert capsys.readouterr().out.strip() == said.text != ""
    np.testing.assert_allclose(opened["probabilities"], said.probabilities, rtol=1e-4, atol=1e-5)


def test_the_tower_of_a_captioner_will_do():
    model = detector(str(DIRECTORY), labels=LABELS, loading=Loading())
    assert isinstance(model, Model) and model.grid == (14, 14)
    captioner = tiny()
    torch.testing.assert_close(model.encode(IMAGES), captioner.encode(IMAGES))
    assert all(name.startswith("head.") for name in model.new)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"model\.heads=3: the tower gives 128 values"):
        made(heads=3)
