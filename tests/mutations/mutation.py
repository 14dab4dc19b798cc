"""A mistake that the program could have, in one place, and the tests that should find it."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutation:
    """`old` stands exactly once in the file, and is replaced by `new`; `tests` are words for pytest, below tests/."""

    name: str
    file: str
    old: str
    new: str
    tests: str

    def stale(self, root=ROOT):
        """Why it cannot be made any more, if so."""
        times = (root / self.file).read_text(encoding="utf-8").count(self.old) if (root / self.file).is_file() else 0
        return "" if times == 1 else f"{self.file} holds its line {times} times"

    def make(self, root):
        """Make it in a copy of the checkout."""
        file = root / self.file
        file.write_text(file.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")
