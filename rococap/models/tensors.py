"""What tensors a checkpoint holds, told without reading them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open
from transformers.utils import cached_file

from rococap.models.hub import WEIGHTS, answers
from rococap.types import UserError


@cache
def shapes(path: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of a checkpoint's tensors, from the hub or a directory, of one file or many.

    Raises:
        UserError: it has no weights, or lacks some of its files.
    """
    with answers(path):
        found = (cached_file(path, name, _raise_exceptions_for_missing_entries=False) for name in WEIGHTS)
        first = next((Path(file) for file in found if file is not None), None)
        if first is None:
            raise UserError(f"{path}: it holds no weights ({WEIGHTS[0]} or {WEIGHTS[2]}, or shards with an index).")
        if not first.name.endswith(".index.json"):
            return _shapes(first)
        shards = sorted(set(json.loads(first.read_text(encoding="utf-8"))["weight_map"].values()))
        files = [cached_file(path, shard) for shard in shards]
        return {name: shape for file in files for name, shape in _shapes(Path(str(file))).items()}


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    if file.suffix == ".safetensors":
        with safe_open(file, "pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    state = torch.load(file, map_location="meta", weights_only=True, mmap=True)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
