"""Pages of weight files that are given back while a model is rounded: never those of another model."""

import image_text
import pytest
import torch
from safetensors.torch import load_file

from rococap.models import mapped
from rococap.models.loading import Loading
from rococap.models.vlm import vlm

pytestmark = pytest.mark.skipif(not mapped._MAPS.exists(), reason="pages are given back on Linux")


def test_a_model_that_was_trained_in_place_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "_SECONDS", 0.001)
    (path,) = image_text.LLAVA(tmp_path)
    first = vlm(path)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1.0)
    trained = {name: value.clone() for name, value in first.model.state_dict().items()}
    vlm(path, loading=Loading(weights="nf4"))
    assert all(torch.equal(value, trained[name]) for name, value in first.model.state_dict().items())


def test_what_is_not_rounded_is_what_the_file_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "_SECONDS", 0.001)
    (path,) = image_text.LLAVA(tmp_path)
    rounded, file = vlm(path, loading=Loading(weights="nf4")), load_file(tmp_path / "model.safetensors")
    own = {f"model.{name}": value for name, value in file.items() if not name.startswith("language_model")}
    assert len(own) > 50
    assert all(torch.equal(rounded.model.get_parameter(name), value) for name, value in own.items())
