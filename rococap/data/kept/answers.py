"""What was answered to questions that cost something: a line each, added as they come."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path

from rococap.data.kept.folders import REMEDY, cache_folder, writing
from rococap.types import UserError


class Answers:
    """Those of one kind, by the digest of the question: texts themselves are not kept.

    Args:
        of: who was asked, in any words.
    """

    def __init__(self, kind: str, of: str) -> None:
        self._of = hashlib.sha256(of.encode()).hexdigest()[:16]
        self._folder = cache_folder("answers", f"{kind}-{self._of}", "all")

    @cached_property
    def known(self) -> _Known:
        """By question, the answer, who gave it, and the date."""
        found: dict[str, tuple[str, str, str]] = {}
        if self._file.is_file():
            for line in self._file.read_bytes().splitlines():
                try:
                    digest, answer, by, date = json.loads(line)
                except ValueError:  # cut off where a process was killed
                    continue
                found[digest] = (answer, by, date)
        return _Known(found)

    def keep(self, question: str, answer: str, by: str, date: str) -> None:
        """Add one that is not known; raises UserError where it cannot be written."""
        if question in self.known:
            return
        line = json.dumps([_digest(question), answer, by, date])
        try:
            with writing(self._folder), self._file.open("ab") as file:
                file.write(f"\n{line}\n".encode("ascii"))
        except OSError as error:
            raise UserError(f"{self._file} cannot be written ({error.strerror}).\n{REMEDY}") from error

    @property
    def _file(self) -> Path:
        return self._folder / "answers.jsonl"


class _Known:
    def __init__(self, found: dict[str, tuple[str, str, str]]) -> None:
        self._found = found

    def __contains__(self, question: str) -> bool:
        return _digest(question) in self._found

    def __getitem__(self, question: str) -> tuple[str, str, str]:
        return self._found[_digest(question)]


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode(errors="surrogatepass")).hexdigest()
