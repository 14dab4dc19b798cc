"""The page of a reader study: it opens from the disk without a network, and keeps and saves what a reader ticks."""

from __future__ import annotations

from markupsafe import Markup

from rococap.cli import with_progress
from rococap.data.image import read
from rococap.report.page import page, picture, template
from rococap.study.sheet import COLUMNS, HIGHEST, PLACE, SCALES, Card, Sheet

_SIDE = 1024  # pixels of an image's longer side at most
_LEAD = (
    "Rate each caption of each image, and place them: 1 is the best, and captions may share a place. Their order is by "
    "chance. What you tick is kept in this browser; at the end save it as a CSV file, and send that back. "
    "Not for clinical use."
)


def sheet_page(sheet: Sheet) -> str:
    """The page as text, images included. Raises UnreadableImage."""
    shown = with_progress(sheet.cards, len(sheet.cards), "images", "Drawing the sheet", lambda _: 1)
    content = template("reader_sheet").render(
        code=sheet.code,
        columns=COLUMNS,
        cards=[_card(card) for card in shown],
        scales=SCALES,
        highest=HIGHEST,
        place=PLACE,
        attributions=sheet.attributions,
    )
    return page(f"Reader study {sheet.code}", _LEAD, [(f"{len(sheet.cards):,} images", Markup(content))])


def _card(card: Card) -> dict[str, object]:
    return {
        "number": card.number,
        "image": picture(read(card.image), f"image {card.number}", _SIDE),
        "captions": card.captions,
    }
