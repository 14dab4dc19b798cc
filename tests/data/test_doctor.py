"""The doctor on a copy with everything wrong that a copy can have."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from dirty import Copy, dirty, packed
from making import png
from PIL import Image
from standin import Words

from rococap.data.datamodule import CaptionData
from rococap.data.doctor import look as looking
from rococap.data.doctor.copies import find_pairs
from rococap.data.doctor.editions import MIRROR, PUBLISHED, ZENODO, edition
from rococap.data.doctor.examination import examine
from rococap.data.doctor.leaks import leaked, without_leaks
from rococap.data.doctor.look import look
from rococap.data.image import BytesImage
from rococap.data.phantom.source import Phantom
from rococap.data.pictures.decode import show
from rococap.data.rocov2 import RocoV2
from rococap.data.subset import subset
from rococap.types import SPLITS, Example, UserError

LEAKS = {"leak_same", "leak_jpeg", "leak_half", "leak_bright", "leak_of_valid"}


@pytest.fixture
def source(tmp_path) -> RocoV2:
    return RocoV2(str(dirty(tmp_path / "dirty")))


def test_everything_that_was_planted_is_found_and_nothing_else(source, tmp_path):
    found = examine(source, tokens=lambda caption: len(caption))
    ids = {split: [e.id for e in source.examples(split)] for split in SPLITS}
    twins = {
        frozenset({("train", name), (held, ids[held][number])})
        for name, held, number in (
            ("leak_same", "test", 0),
            ("leak_jpeg", "test", 1),
            ("leak_half", "test", 2),
            ("leak_bright", "test", 3),
            ("leak_of_valid", "valid", 0),
            ("twin", "train", 0),
        )
    }
    twins.add(frozenset({("valid", "leak_of_test"), ("test", ids["test"][4])}))
    assert {frozenset(group.members) for group in found.copies} == twins
    assert [g.agreement for g in found.copies if ("train", "leak_same") in g.members] == [1.0]
    assert set(leaked(found.copies, "train", "test")[0]) == LEAKS - {"leak_of_valid"}
    assert leaked(found.copies, "train", "valid") == (["leak_of_valid"], [ids["valid"][0]])
    assert leaked(found.copies, "valid", "test") == (["leak_of_test"], [ids["test"][4]])

    train, valid, test = (found.splits[split] for split in SPLITS)
    assert set(train.looks.unreadable) == {"truncated", "empty"} and set(valid.looks.unreadable) == {"web_page"}
    assert "0 bytes" in train.looks.unreadable["empty"]
    assert test.odd == {"blank": ["blank"], "smaller than 64 pixels": ["tiny"]}
    assert {what: names for what, names in train.problems.items() if len(names) == 1} == {
        "lines repeat an id; the first of each is kept": [ids["train"][3]],
        "members of zips point outside of them and are left out": ["../../outside.jpg"],
        "ids have no image and are left out": ["no_image"],
        "images have no id in the captions file and are left out": ["no_caption"],
    }
    [(what, lines)] = [(what, names) for what, names in train.problems.items() if len(names) > 1]
    assert "too few or too many fields" in what and len(lines) == 10_001
    assert train.places == {str(tmp_path / "dirty/train_images.zip/train"): len(ids["train"])}
    assert train.tokens is not None and train.tokens.sum() == sum(len(e.captions[0]) for e in train.examples)
    assert train.words.tolist() == [len(e.captions[0].split()) for e in train.examples]
    assert found.edition.startswith("Unknown edition")


def test_leaks_are_left_out_of_training_where_asked(source, caplog):
    def module(**changes) -> CaptionData:
        settings = dict(
            fraction=0.5, subset_seed=3, batch_size=4, length_pool=32, workers=0, val_images=None, max_tokens=9, seed=0
        )
        return CaptionData(source, Words(), allow_missing=True, **(settings | changes))

    def chosen(**changes) -> set[str]:
        return {example.id for example in module(**changes).examples("train")}

    assert chosen(fraction=1.0) >= LEAKS
    with caplog.at_level(logging.INFO):
        assert chosen(fraction=1.0, drop_leaks=True) == chosen(fraction=1.0) - LEAKS
    assert "train: 5 images that also stand in valid or test are left out (data.drop_leaks)" in caplog.messages
    clean = [e for e in source.examples("train") if e.id not in LEAKS]
    readable = {"truncated", "empty"}
    assert chosen(drop_leaks=True) == {e.id for e in subset(clean, 0.5, 3)} - readable
    for split in ("valid", "test"):  # only training loses images
        assert module(drop_leaks=True).examples(split) == module().examples(split)


def test_what_was_found_once_is_kept(source, monkeypatch, cache, caplog):
    examples, key = source.examples("train"), source.fingerprint()
    left = without_leaks(examples, source, key)
    with monkeypatch.context() as patch:
        patch.setattr("rococap.data.doctor.leaks.look", None)
        assert without_leaks(examples, source, key) == left
    [kept] = cache.rglob("copies-*.json")
    kept.write_bytes(kept.read_bytes()[:-5])
    assert without_leaks(examples, source, key) == left
    assert "searched anew" in caplog.text
    seen = []
    monkeypatch.setattr(looking, "show", lambda image: seen.append(image) or show(image))
    assert len(examine(source, None).copies) == 7
    assert len(seen) <= 1  # the truncated one is tried again


def test_a_look_tells_how_an_image_is_stored():
    def example(name: str, image: Image.Image, fmt: str) -> Example:
        return Example(name, BytesImage(packed(image, fmt), name), ())

    grey = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70), dtype=np.uint8))
    red = Image.merge("RGB", (grey, grey.point(lambda v: v // 2), grey))
    stored = [example("g", grey, "PNG"), example("r", red, "JPEG"), example("b", grey.convert("RGB"), "BMP")]
    rows = look([*stored, Example("x", BytesImage(b"", "x"), ())], "key", "test").rows
    facts = ["width", "height", "mode", "format", "coloured"]
    assert rows[facts].tolist() == [
        (70, 50, b"L", b"PNG", False),
        (70, 50, b"RGB", b"JPEG", True),
        (70, 50, b"RGB", b"BMP", False),
    ]
    assert rows["digest"][0] == rows["digest"][2] != rows["digest"][1]  # of pixels, however they are stored


def test_images_that_were_windowed_are_named(tmp_path):
    ct = np.random.default_rng(0).integers(31744, 35840, (70, 80))
    copy = Copy(count=2)
    copy.add("train", "offset", png(ct))
    copy.add("train", "whole", png(ct * 2 - 63488))
    found = examine(RocoV2(str(copy.write(tmp_path / "copy"))), tokens=None)
    [(what, names)] = found.splits["train"].odd.items()
    assert names == ["offset"] and "shown between two percentiles" in what


def test_a_changed_cache_is_looked_at_anew(cache, caplog):
    source = Phantom(train=20, valid=1, test=1, seed=0)
    before = look(source.examples("train"), "key", "train").rows.copy()
    for chunk in cache.rglob("*.npy"):
        content = bytearray(chunk.read_bytes())
        content[-9] ^= 255
        chunk.write_bytes(content)
    assert (look(source.examples("train"), "key", "train").rows == before).all()
    assert "prepared anew" in caplog.text


def numbered(counts: dict[str, int], form: str) -> dict[str, list[str]]:
    return {split: [form.format(split, number) for number in range(count)] for split, count in counts.items()}


@pytest.mark.parametrize(("name", "form"), [(ZENODO, "ROCOv2_2023_{}_{:06d}"), (MIRROR, "ROCOv2_2023_{}_{:06d}")])
def test_published_counts_are_recognised(name, form):
    assert edition(numbered(PUBLISHED[name], form)) == f"{name}, whole"
    assert edition(numbered(PUBLISHED[name], "mine_{}_{}")).startswith("The counts are those of")


def test_parts_other_counts_and_unknown_editions_are_called_so():
    imageclef = "ImageCLEFmedical_Caption_{}_{{}}_{{}}"
    counts = PUBLISHED["ImageCLEFmedical Caption 2025"]
    assert sum(counts.values()) == 116_635
    assert edition(numbered(counts, imageclef.format(2025))) == "ImageCLEFmedical Caption 2025, whole"
    part = edition(numbered({"train": 5, "valid": 2}, "ROCOv2_2023_{}_{:06d}"))
    assert part == f"A part of {ZENODO}: train 5 of 59,958, valid 2 of 9,904, test 0 of 9,927"
    more = edition(numbered({"train": 5, "test": 9_928}, "ROCOv2_2023_{}_{:06d}"))
    assert "with other counts" in more and "test 9,928 of 9,927" in more
    assert "no published counts are known" in edition(numbered({"train": 5}, imageclef.format(2024)))
    mixed = {"train": ["ROCOv2_2023_train_000001", "x1", "x2"]}
    assert edition(mixed) == edition({"train": ["x"]}) == edition({"train": []})
    assert edition(mixed).startswith("Unknown edition")


def test_a_copy_without_a_split_is_examined_all_the_same(tmp_path):
    folder = Copy(5).write(tmp_path / "part")
    for file in folder.glob("valid_*"):
        file.unlink()
    found = examine(RocoV2(str(folder)), None)
    assert list(found.splits) == ["train", "test"] and "no captions of valid" in found.missing["valid"]
    assert all(examined.tokens is None for examined in found.splits.values())


def test_a_copy_of_which_nothing_can_be_had_or_read_is_refused(tmp_path):
    with pytest.raises(UserError, match="ROCOv2 is not there"):
        examine(RocoV2(str(tmp_path / "nothing")), None)
    (tmp_path / "test").mkdir()
    (tmp_path / "test/a.jpg").touch()
    with pytest.raises(UserError, match=r"No image of this copy can be read; the first: .*a\.jpg"):
        examine(RocoV2(str(tmp_path)), None)


def test_heads_of_one_outline_are_no_copies_of_each_other():
    """The closest of 1,300 drawn images: what lies within the skulls differs."""
    source = Phantom(train=570, valid=1, test=401, seed=0)
    examples = [source.examples("train")[569], *(source.examples("test")[number] for number in (80, 305, 400))]
    rows = look(examples, "key", "train").rows
    assert find_pairs(rows["digest"], rows["thumbnail"]) == []
