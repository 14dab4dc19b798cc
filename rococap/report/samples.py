"""A contact sheet: images with what the model says of them, right facts in green, wrong ones in red."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from rococap.data.image import to_rgb
from rococap.data.kept.files import write_whole
from rococap.metrics.facts import facts_said, mentions

INK, QUIET, RIGHT, WRONG, MISSED = "#1f2328", "#6e7781", "#1a7f37", "#cf222e", "#9a6700"
SIDE, GAP, LINE = 240, 16, 17  # pixels: of an image, between cells, between lines of text
Word = tuple[str, str]  # a word and its colour


def contact_sheet(
    images: Sequence[Image.Image],
    predictions: Sequence[str],
    references: Sequence[str],
    path: Path,
    columns: int = 5,
) -> None:
    """Write a PNG: every image with its prediction and, in grey, its reference.

    Words that state a fact are coloured where the references state facts, as those of `data=phantom` do; captions of
    other data stay plain.

    Args:
        images: in any mode and size; shown whole.
        predictions, references: one for each image; a reference may be empty.
        path: the file to write; its folder exists.
        columns: images in a row.
    """
    coloured = all(facts_said(reference) for reference in references)
    texts = [
        (judged(said, true) if coloured else _plain(said, INK), _plain(true, QUIET))
        for said, true in zip(predictions, references, strict=True)
    ]
    sheet_of(images, texts, _legend(coloured), path, columns)


def sheet_of(
    images: Sequence[Image.Image],
    words: Sequence[Sequence[Sequence[Word]]],
    legend: Sequence[Word],
    path: Path,
    columns: int = 5,
) -> None:
    """Write a PNG of images with words of any colours below, each list of an image's words on lines of its own."""
    font = ImageFont.load_default(size=13)
    texts = [[line for each in of_image for line in _lines(each, font)] for of_image in words]
    rows = [range(start, min(start + columns, len(images))) for start in range(0, len(images), columns)]
    heights = [SIDE + GAP * 2 + LINE * max(len(texts[index]) for index in row) for row in rows]
    sheet = Image.new("RGB", (GAP + (SIDE + GAP) * min(columns, len(images)), GAP + LINE + GAP + sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    _write(draw, (GAP, GAP), legend, font)
    top = 2 * GAP + LINE
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            left = GAP + column * (SIDE + GAP)
            sheet.paste(ImageOps.pad(to_rgb(images[index]), (SIDE, SIDE), color="black"), (left, top))
            for number, line in enumerate(texts[index]):
                _write(draw, (left, top + SIDE + 6 + number * LINE), line, font)
        top += height
    # Grain does not get smaller by more: this is three times as fast, and no larger.
    write_whole(path, lambda file: sheet.save(file, "PNG", compress_level=2))


def judged(prediction: str, reference: str) -> list[Word]:
    """The prediction's words; those that state a fact are green if the reference states it too, else red."""
    truth = facts_said(reference)
    colours = [INK] * len(prediction)
    for mention in mentions(prediction):
        colour = RIGHT if truth.get(mention.fact) == mention.value else WRONG
        colours[mention.start : mention.end] = [colour] * (mention.end - mention.start)
    words, start = [], 0
    for word in prediction.split():
        start = prediction.index(word, start)
        inside = [colour for colour in colours[start : start + len(word)] if colour != INK]
        words.append((word, inside[0] if inside else INK))
        start += len(word)
    return words


def _plain(text: str, colour: str) -> list[Word]:
    return [(word, colour) for word in text.split()]


def _legend(coloured: bool) -> list[Word]:
    facts = [("right", RIGHT), ("and", INK), ("wrong", WRONG), ("facts;", INK)] if coloured else []
    return [*_plain("Predictions:", INK), *facts, *_plain("references in grey.", QUIET)]


def _lines(words: Sequence[Word], font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[list[Word]]:
    """Words in lines no wider than an image."""
    lines: list[list[Word]] = []
    for word in words:
        if lines and font.getlength(" ".join(text for text, _ in [*lines[-1], word])) <= SIDE:
            lines[-1].append(word)
        else:
            lines.append([word])
    return lines


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: Sequence[Word],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    left, top = at
    for text, colour in words:
        draw.text((left, top), text, fill=colour, font=font)
        left += font.getlength(f"{text} ")
