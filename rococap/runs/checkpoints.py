"""Checkpoints as files: whether one is whole, and what it holds. PyTorch itself does not check what it reads."""

from __future__ import annotations

import functools
import logging
import pickle
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rococap.types import UserError

log = logging.getLogger(__name__)


def fault(file: Path) -> str | None:
    """What is wrong with a checkpoint's file, by the checksums that its archive holds; None where it is whole."""
    try:
        facts = file.stat()
    except OSError as error:
        return error.strerror or str(error)
    return _fault(file, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=64)
def _fault(file: Path, changed: int, size: int) -> str | None:
    """Each state of a file is read through once."""
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
            if damaged is None and not any(name.endswith("/data.pkl") for name in archive.namelist()):
                return "it is no checkpoint of PyTorch's"
    except OSError as error:
        return error.strerror or str(error)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        return f"it is cut off or was changed ({error})"
    return None if damaged is None else f"its checksum of {damaged} does not fit: it was changed after it was written"


def load(file: Path, *, mmap: bool = False) -> dict[str, Any]:
    """What a checkpoint holds, tensors and plain values, on the CPU; with `mmap` only what is used of it is read.

    Raises:
        UserError: it is not whole, or holds anything else.
    """
    import torch

    why = fault(file)
    if why is None:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
            why = f"it holds more than tensors and plain values ({str(error).strip().partition(chr(10))[0][:200]})"
        else:
            if isinstance(content, dict):
                return content
            why = "it is none of rococap's"
    raise UserError(f"{file} cannot be read: {why}.\nTake it from a backup, or train again under another name.")


def newest_whole(files: Iterable[Path], *, loudly: bool = False) -> Path | None:
    """The first of some checkpoints that is whole, None where none is; `loudly`: those before it are named."""
    for file in files:
        if (why := fault(file)) is None:
            return file
        if loudly:
            log.warning("%s cannot be gone on from: %s.\nThe newest whole checkpoint before it is taken.", file, why)
    return None
