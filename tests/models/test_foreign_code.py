"""A model's directory from someone else: its Python is not run, and its pickles are not obeyed."""

import json
import pickle
import shutil

import pytest
import torch

from rococap.metrics.encoder import TextEncoder
from rococap.models.biomedclip import load_vit
from rococap.models.hub import load_config, load_tokenizer
from rococap.models.loading import Loading
from rococap.models.tensors import shapes
from rococap.models.tiny import ASSETS
from rococap.models.vit_gpt2 import published
from rococap.types import UserError

CODE = "from pathlib import Path\nPath({marker!r}).touch()\nfrom transformers import *\n"
MAP = {"AutoConfig": "evil.ViTConfig", "AutoModel": "evil.ViTModel", "AutoTokenizer": ["evil.GPT2Tokenizer", None]}


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


@pytest.fixture
def directory(tmp_path):
    """A copy of the small captioner whose files name Python that lies beside them."""
    path = tmp_path / "model"
    shutil.copytree(ASSETS / "tiny_captioner", path)
    (path / "evil.py").write_text(CODE.format(marker=str(tmp_path / "ran")))
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((path / name).read_text()) | {"auto_map": MAP}
        (path / name).write_text(json.dumps(content))
    return path


def test_python_in_a_directory_is_not_run(directory, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda prompt="": "y")  # transformers' question is not asked
    assert published(str(directory), loading=Loading()).new == frozenset()
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(content | {"model_type": "evil", "tokenizer_class": "Evil"}))
    for read in (load_tokenizer, load_config, lambda path: TextEncoder(path, 1)):
        with pytest.raises(UserError):
            read(str(directory))
    assert not (directory.parent / "ran").exists()


@pytest.mark.parametrize("form", ["zip", "pickle"])
def test_pickled_weights_are_read_as_tensors_only(directory, form):
    (directory / "model.safetensors").unlink()
    bomb = {"encoder.embeddings.cls_token": Bomb(directory.parent / "ran")}
    for name in ("pytorch_model.bin", "open_clip_pytorch_model.bin"):
        if form == "zip":
            torch.save(bomb, directory / name)
        else:
            (directory / name).write_bytes(pickle.dumps(bomb, protocol=2))
    for read in (
        lambda: published(str(directory), loading=Loading()),
        lambda: shapes(str(directory)),
        lambda: load_vit(str(directory), Loading()),
        lambda: TextEncoder(directory, 1),
    ):
        with pytest.raises(UserError):
            read()
    assert not (directory.parent / "ran").exists()
    pickle.loads(pickle.dumps(bomb))
    assert (directory.parent / "ran").exists()  # it is a bomb
