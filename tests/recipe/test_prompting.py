"""Concepts beside and before captions."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import CONF, DATA, ROOT

from rococap.checks.command_line import check_command_line
from rococap.data.datamodule import CaptionData
from rococap.data.image import read
from rococap.data.phantom.source import Phantom
from rococap.evaluation.baselines import _Known
from rococap.evaluation.watching import watch
from rococap.metrics.signature import difference
from rococap.models.audit import audit
from rococap.models.concept_head import ConceptHead, numbers_of
from rococap.models.label_loss import label_loss
from rococap.models.tiny import tiny
from rococap.recipe.labels import labels_of
from rococap.recipe.parts import beside, detecting, with_concepts
from rococap.recipe.prompting import MOST, Prompting, require_predictions, words
from rococap.recipe.recipe import Recipe
from rococap.report.attention import why_no_maps
from rococap.runs.checkpoints import load
from rococap.runs.folder import RunFolder
from rococap.types import Concept, Example, Labels, UserError

SOURCE = Phantom(train=12, valid=2, test=2, seed=0)
EXAMPLE = SOURCE.examples("train")[0]


@pytest.fixture
def base(finished):
    return Recipe.of_run(RunFolder(finished))


def knowing(base, *, concepts=None, **settings):
    """The base of a captioner that knows of concepts, and the captioner."""
    model = {**base.settings["model"], "concepts": concepts}
    changed = replace(
        base,
        settings={**base.settings, "model": model},
        concepts=replace(base.concepts, **settings),
        build_source=lambda: SOURCE,
    )
    return changed, with_concepts(tiny(49), changed)


def test_names_or_codes_stand_before_a_caption():
    assert words("C1;C2", {"C1": "CT", "C2": ""}) == "CT, C2: " and words("", {}) == ""


def test_a_prompt_is_seen_by_the_mask_alone(base, tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path))
    changed, captioner = knowing(base, concepts="gold")
    told = beside(captioner, changed)
    data = CaptionData(SOURCE, captioner.processor, batch_size=4, beside=told, **DATA)
    batch = data.dataset("train")[[0, 1, 2]]
    for row, example in enumerate(SOURCE.examples("train")[:3]):
        own = captioner.processor.tokens(example.captions[0], 128)[0]
        prompt = list(batch.prompts[row])
        assert captioner.processor.text(prompt) == ", ".join(c.name for c in example.concepts) + ":"
        assert batch.input_ids[row, : len(prompt) + len(own)].tolist() == [*prompt, *own]
        assert batch.input_ids[row][batch.attention_mask[row].bool()].tolist() == own
    assert captioner.made == ("prompt:gold concepts, an upper bound",) and "stand before" in why_no_maps(captioner)
    assert difference(["n:1", "|".join(("n:1", *captioner.made))]) == ""


def test_gold_concepts_are_said_to_be_an_upper_bound(base, finished):
    changed, captioner = knowing(base, concepts="gold")
    guards = watch(captioner, RunFolder(finished), changed)(["a", "b"], [("a",), ("b",)], [(), ()])
    assert "an upper bound" in guards[-1].warning
    _, other = knowing(base)
    assert all("upper" not in g.warning for g in watch(other, RunFolder(finished), changed)(["a"], [("a",)], [()]))
    gold = Prompting("gold", None, detecting)
    with pytest.raises(UserError, match="of these images no concepts are known"):
        gold.of_image(read(EXAMPLE.image))


def test_predicted_concepts_are_those_of_a_detectors_run(detected, finished, tmp_path):
    found = Prompting("predicted", detected, detecting)
    example = Recipe.of_run(RunFolder(detected)).source.examples("test")[0]
    said = found.of(example)
    assert said.endswith(": ") and "C9" not in said  # names, not codes
    assert found.of_image(read(example.image)) == said
    with pytest.raises(UserError, match=r"has no prediction for phantom_train_000000.\n.*--split train"):
        found.of(EXAMPLE)
    with pytest.raises(UserError, match="is no finished run of a detector"):
        Prompting("predicted", finished, detecting).of(example)
    with pytest.raises(UserError, match="is no run's folder"):
        Prompting("predicted", tmp_path, detecting).of(example)


def test_what_was_predicted_is_asked_for_at_once_and_tells_the_systems_apart(detected, base, tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    predictions = Path(shutil.copytree(detected, tmp_path / "detector"), "predictions")
    changed, captioner = knowing(base, concepts="predicted", run="~/detector")
    for split in ("train", "valid"):
        (predictions / f"{split}.jsonl").unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"has not predicted train and valid\.\nMake those of each split"):
        require_predictions(changed.concepts.folder)
    for split in ("train", "valid"):
        shutil.copy(predictions / "test.jsonl", predictions / f"{split}.jsonl")
    require_predictions(changed.concepts.folder)
    for split in ("train", "valid", "test"):
        text = (predictions / "test.jsonl").read_text().replace("phantom_test", f"phantom_{split}")
        (predictions / f"{split}.jsonl").write_text(text)
    data = CaptionData(SOURCE, captioner.processor, batch_size=4, **DATA)
    before = _Known(captioner, data, "test", changed).folder
    assert _Known(captioner, data, "test", changed).folder == before
    (predictions / "test.jsonl").write_text(text.replace('"prediction": "C', '"prediction": "C9;C'))
    assert _Known(captioner, data, "test", changed).folder != before


def test_a_prompt_leaves_room_for_the_caption(base):
    changed, captioner = knowing(base, concepts="gold")
    many = replace(EXAMPLE, concepts=tuple(Concept(f"C{n}", "a long name of a concept") for n in range(99)))
    told = beside(captioner, changed)
    assert len(told(many, 9).prompt) == min(MOST, captioner.processor.max_positions - 10)
    most = captioner.processor.max_positions
    assert told(many, most).prompt == () and len(told(many, most - 6).prompt) == 5


def test_the_loss_of_a_head_weighs_each_image_as_its_caption_does():
    labels = Labels(tuple(Concept(f"C{n}") for n in range(1, 5)), (4, 3, 2, 1), 9)
    torch.manual_seed(0)
    head = ConceptHead(labels, 8, 0.2)
    features, ids = torch.randn(3, 6, 8), torch.tensor([[0, 2], [3, -1], [-1, -1]])
    tokens = torch.tensor([5, 2, 9])
    gold = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    each = label_loss(head.head(features), gold, "bce").mean(dim=1)
    torch.testing.assert_close(head.loss(features, ids, tokens), 0.2 * (each * tokens).sum())
    parts = sum(head.loss(features[i : i + 1], ids[i : i + 1], tokens[i : i + 1]) for i in range(3))
    torch.testing.assert_close(head.loss(features, ids, tokens), parts)
    assert numbers_of(labels, "C3;C9;C1") == (2, 0)


def test_a_head_beside_a_captioner_trains_and_is_kept(base, caplog):
    changed, captioner = knowing(base, weight=0.2)
    labels = labels_of(SOURCE, 1)
    assert beside(captioner, changed)(EXAMPLE, 9).labels == numbers_of(
        labels, ";".join(c.cui for c in EXAMPLE.concepts)
    )
    assert any(name.startswith("concepts.head.") for name in captioner.trainable_state())
    assert any(part.name == "concepts" and part.trainable for part in audit(captioner))
    captioner.network.requires_grad_(False)
    with_concepts(captioner, changed)
    assert "changes no caption" in caplog.text


def test_what_does_not_go_together_is_refused(jobs):
    usual = ["data=phantom", "model=tiny"]
    for given, said in (
        (["model.concepts=gild"], "model.concepts: must be null, gold or predicted"),
        (["model.concepts=predicted"], "concepts.run: must name the folder of a detector's run"),
        (["concepts.run=x"], "concepts.run: is of model.concepts=predicted"),
        (["concepts.weight=-1"], "concepts.weight: must be at least 0"),
        (["model=tiny_detector", "concepts.weight=0.2"], "concepts.weight: is of a captioner"),
        (["model=tiny_detector", "model.concepts=gold"], "model.concepts=gold: no such setting"),
    ):
        with pytest.raises(UserError, match=said):
            check_command_line(CONF, argv=[*usual, *given])
    models = [f.stem for f in Path(CONF, "model").glob("*.yaml") if "detector" not in f.stem]
    for model in models:
        check_command_line(CONF, argv=["data=phantom", f"model={model}", "model.concepts=gold", "concepts.weight=0.2"])
    assert all(job.model.concepts == "gold" for job in jobs)


def test_a_captioner_with_concepts_trains_and_captions(run, place, detected, base, tmp_path):
    own = shutil.copytree(detected, tmp_path / "detector")
    source = Recipe.of_run(RunFolder(own)).source
    lines = (own / "predictions" / "test.jsonl").read_text().splitlines(keepends=True)
    for split in ("train", "valid"):
        names = [example.id for example in source.examples(split)]
        chosen = [(n % len(lines), name) for n, name in enumerate(names)]
        text = "".join(lines[n].replace(f"phantom_test_{n:06}", name) for n, name in chosen)
        (own / "predictions" / f"{split}.jsonl").write_text(text)
    few = ["data.source.train=32", "data.source.valid=4", "data.source.test=4", "data.batch_size=16", "logger=[csv]"]
    few += ["trainer.max_epochs=1", "decoding.max_new_tokens=8", "metrics=[bleu]", "name=prompted"]
    given = ["model.concepts=predicted", f"concepts.run={own}", "concepts.weight=0.2", "lora.train_vision_tower=true"]
    done = run(ROOT / "train.py", "data=phantom", "model=tiny", *few, *given)
    assert done.returncode == 0, done.stdout + done.stderr
    results = (place / "multirun" / "prompted" / "evaluation_results.csv").read_text()
    assert "prompt:predicted concepts" in results
    state = load(place / "multirun" / "prompted" / "checkpoints" / "last.ckpt")["state_dict"]
    assert state["captioner.concepts.head.bias"].abs().max() > 0  # it began at 0, and was trained
    example = Example("x", EXAMPLE.image, ())
    example.image.open().save(tmp_path / "image.png")
    said = run(ROOT / "scripts/caption.py", "--run", place / "multirun" / "prompted", tmp_path / "image.png")
    assert said.returncode == 0 and "image.png\t" in said.stdout, said.stderr
