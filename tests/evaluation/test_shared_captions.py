"""Captions in the making: what whole lines hold is kept, and nothing else."""

from dataclasses import replace

import numpy as np

from rococap.evaluation.shared_captions import Parts, shared_captions
from rococap.recipe.parts import best_captioner, build_data
from rococap.recipe.recipe import Decoding, Recipe
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions
from rococap.types import Said


def said(texts):
    return {name: Said(text) for name, text in texts.items()}


def test_whole_lines_of_all_processes_are_read(tmp_path):
    parts = Parts(tmp_path / "test", "now")
    for rank, captions in ((0, {"a": "one", "b": "two\n\u2028lines"}), (1, {"c": "three"}), (0, {"d": "four"})):
        parts.add(rank, said(captions))
    Parts(tmp_path / "test", "before").add(1, said({"e": "of other weights"}))
    assert parts.read() == said({"a": "one", "b": "two\n\u2028lines", "c": "three", "d": "four"})
    file = tmp_path / "test.part-0"
    file.write_bytes(file.read_bytes()[:-3])  # killed while it wrote
    parts.add(0, said({"f": "five"}))
    assert parts.read() == said({"a": "one", "b": "two\n\u2028lines", "c": "three", "f": "five"})
    changed = file.read_bytes().replace(b'"one"', b'"ons"')
    file.write_bytes(changed)
    assert parts.read() == said({"c": "three", "f": "five"})
    parts.remove()
    assert list(tmp_path.iterdir()) == []


def test_captions_that_are_there_are_not_made_again(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    folder = RunFolder(finished)
    recipe = replace(Recipe.of_run(folder), decoding=Decoding(max_new_tokens=12, num_beams=1, batch_size=2))
    captioner = best_captioner(folder, recipe)
    data = build_data(recipe, captioner)
    made = {p.id: Said(p.prediction) for p in read_predictions(finished / "predictions/test.jsonl")}
    kept, half = list(made)[2:4], list(made)[4]  # a batch, and half of the next
    parts = Parts(tmp_path / "test", "now")
    parts.add(1, said(dict.fromkeys([*kept, half], "as it was")))
    captions = shared_captions(captioner, data, "test", recipe, parts, "Captioning")
    assert captions == {**made, **said(dict.fromkeys(kept, "as it was"))} and list(captions) == list(made)


def test_probabilities_are_kept_to_the_last_bit(tmp_path):
    parts, values = Parts(tmp_path / "test", "now"), np.float32([0.1, 1e-30, 1 / 3])
    parts.add(0, {"a": Said("C1;C2", values), "b": Said("")})
    found = parts.read()
    assert (found["a"].text, found["b"]) == ("C1;C2", Said(""))
    assert found["a"].probabilities.tobytes() == values.tobytes()
