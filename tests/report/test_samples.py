from pathlib import Path

from PIL import Image, ImageColor

from rococap.data.phantom.source import Phantom
from rococap.report.samples import QUIET, RIGHT, WRONG, contact_sheet, judged

EXAMPLES = Phantom(train=7, valid=1, test=1, seed=0).examples("train")
IMAGES = [example.image.open() for example in EXAMPLES]
CAPTIONS = [example.captions[0] for example in EXAMPLES]


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as sheet:
        return {colour for _, colour in sheet.convert("RGB").getcolors(sheet.width * sheet.height)}


def test_right_facts_are_green_and_wrong_ones_red(tmp_path: Path):
    contact_sheet(IMAGES, CAPTIONS, CAPTIONS, tmp_path / "right.png")
    contact_sheet(IMAGES, CAPTIONS[::-1], CAPTIONS, tmp_path / "mixed.png")
    green, red = ImageColor.getrgb(RIGHT), ImageColor.getrgb(WRONG)
    legend = tmp_path / "legend.png"
    with Image.open(tmp_path / "right.png") as sheet:
        sheet.crop((0, 50, *sheet.size)).save(legend)
    assert green in colours(legend) and red not in colours(legend)
    assert {green, red} <= colours(tmp_path / "mixed.png")


def test_words_are_judged_one_by_one():
    said, true = (
        "Chest X-ray: two nodules, left (upper) zone.",
        "Chest radiograph: two small nodules, right upper zone.",
    )
    assert dict(judged(said, true)) | {} == {
        "Chest": "#1f2328", "X-ray:": RIGHT, "two": RIGHT, "nodules,": RIGHT, "left": WRONG, "(upper)": RIGHT,
        "zone.": "#1f2328",
    }  # fmt: skip


def test_captions_without_known_facts_stay_plain(tmp_path: Path):
    """Images of any mode and shape; captions long, empty, in any script."""
    images = [Image.new("L", (512, 300), 90), Image.new("RGBA", (20, 900)), Image.new("I;16", (64, 64))]
    contact_sheet(
        images, ["A small left bird " * 30, "", "µm 左"], ["Barium swallow.", "", "Skull."], tmp_path / "a.png"
    )
    seen = colours(tmp_path / "a.png")
    assert ImageColor.getrgb(QUIET) in seen
    assert not {ImageColor.getrgb(RIGHT), ImageColor.getrgb(WRONG)} & seen
    assert Image.open(tmp_path / "a.png").width == 16 + 3 * 256
