"""The package webdataset, which opens URLs and expands patterns; what lies here is read without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rococap.types import UserError

INSTALL = 'pip install -c constraints.txt -e ".[webdataset]"'


def module(name: str) -> Any:
    """Its module of this name, whose functions are called as it is; raises UserError where it is not installed."""
    try:
        return import_module(f"webdataset.{name}")
    except ImportError as error:
        raise UserError(f"Shards behind URLs or patterns need the package webdataset: {INSTALL}") from error
