"""How much of a dataset is not there: said where it matters, refused where a score would not be the dataset's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rococap.types import Split, UserError

SAID = 0.01  # of a split, a run says so wherever it shows scores
REFUSED = 0.1


@dataclass(frozen=True)
class Missing:
    """How many of a split are not there, of how many."""

    count: int
    of: int
    what: Literal["ids have no image", "images cannot be read", "lines cannot be read"] = "ids have no image"

    @property
    def share(self) -> float:
        """Of all of them."""
        return self.count / self.of if self.of else 0.0

    def text(self, split: str) -> str:
        """What is said of it."""
        return f"{split}: {self.count:,} of {self.of:,} {self.what} ({self.share:.1%})"


def require(split: Split, missing: Missing, *, allowed: bool) -> None:
    """Raises UserError where too many are missing, unless that is allowed."""
    if missing.share > REFUSED and not allowed:
        raise UserError(
            f"{missing.text(split)}: this copy is not whole.\n"
            "Complete it; scripts/prepare.py names them. To use it as it is: data.allow_missing=true"
        )


def noteworthy(missing: Mapping[Split, Sequence[Missing]]) -> dict[str, list[str]]:
    """What a run says of splits of which more than a little is missing, as run.json keeps it."""
    said = {split: [each.text(split) for each in several if each.share > SAID] for split, several in missing.items()}
    return {split: texts for split, texts in said.items() if texts}
