"""What readers get: images under numbers, captions under letters, and nothing of who gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rococap.runs.results import table_text
from rococap.study.key import LETTERS, Key
from rococap.types import Example, LazyImage, UserError

# What is asked of each caption, by its column: the best is 5, of places 1.
SCALES: Mapping[str, str] = {
    "correct": "What it says is right: 1 is all wrong, 5 is all right",
    "complete": "It says what matters: 1 is nothing of it, 5 is all of it",
}
HIGHEST = 5
PLACE = "place"
COLUMNS = ("study", "reader", "image", "caption", PLACE, *SCALES)


@dataclass(frozen=True, slots=True)
class Card:
    """An image and what is said of it, in the order in which it is shown."""

    number: int
    image: LazyImage
    captions: tuple[tuple[str, str], ...]  # letter and text


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is drawn from this can tell no reader whose a caption is.

    Attributes:
        code: see `Key.code`.
        attributions: of all images, sorted: beside an image one would lead to its published caption.
    """

    code: str
    cards: tuple[Card, ...]
    attributions: tuple[str, ...]

    def table(self) -> str:
        """As CSV, to be filled in where the page is not wanted; `text` is only to be read."""
        rows = [
            (self.code, "", card.number, letter, *[""] * (1 + len(SCALES)), text)
            for card in self.cards
            for letter, text in card.captions
        ]
        return table_text((*COLUMNS, "text"), rows)


def sheet_of(key: Key, examples: Mapping[str, Example]) -> Sheet:
    """Raises UserError where the data has some images no more."""
    gone = [entry.id for entry in key.entries if entry.id not in examples]
    if gone:
        raise UserError(
            f"The run's data lacks {len(gone):,} of the images that it captioned: {', '.join(gone[:3])} ...\n"
            "Give the place where they lie: --root DIR"
        )
    cards = [
        Card(number, examples[entry.id].image, tuple(zip(LETTERS, (c.text for c in entry.captions), strict=False)))
        for number, entry in enumerate(key.entries, 1)
    ]
    named = {examples[entry.id].attribution for entry in key.entries} - {""}
    return Sheet(key.code, tuple(cards), tuple(sorted(named)))
