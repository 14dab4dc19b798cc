"""Ids of images, as tables and files write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import Generic, TypeVar

from rococap.data.image import SUFFIXES

T = TypeVar("T")


def bare_id(name: str) -> str:
    """An id without an image file's extension: some editions write `x.jpg`, some `x`."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else name


def by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts ids by the numbers in them, padded or not: `test_2` comes before `test_10`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


class ByName(Generic[T]):
    """Finds entries by id, also where the two sides write it differently, and nothing else is written so.

    They may differ in a folder before it, a second extension, upper and lower case, the Unicode form of accents (macOS
    takes letters apart), and zeros before the number at its end.
    """

    def __init__(self, entries: dict[str, T]) -> None:
        self.entries = entries

    def find(self, name: str) -> str | None:
        """The key under which `name` is listed."""
        if name in self.entries:
            return name
        return self._plainly.get(_plain(name)) if self.entries else None

    def get(self, name: str, default: T) -> T:
        """The entry of `name`."""
        key = self.find(name)
        return default if key is None else self.entries[key]

    def match(self, names: Iterable[str]) -> dict[str, str]:
        """Name -> key of each that is found. No key goes to two: who writes it exactly has it, else the first."""
        names = list(names)
        found = {name: name for name in names if name in self.entries}
        taken = set(found)
        for name in names:
            if name not in found and (key := self.find(name)) is not None and key not in taken:
                found[name] = key
                taken.add(key)
        return {name: found[name] for name in names if name in found}

    @cached_property
    def _plainly(self) -> dict[str, str | None]:
        keys: dict[str, str | None] = {}
        for name in self.entries:
            plain = _plain(name)
            keys[plain] = None if plain in keys else name  # two that differ only in this are two
        return keys


def _plain(name: str) -> str:
    name = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    while (shorter := bare_id(name)) != name:
        name = shorter
    return re.sub(r"(?<!\d)0+(?=\d+$)", "", name.casefold())
