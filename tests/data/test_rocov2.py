"""Drawn images in every layout, and every way in which a copy can be wrong."""

from __future__ import annotations

import csv
import logging
import shutil
import zipfile
from pathlib import Path

import drawn
import pytest
from commands import MINI, SHARED
from drawn import COUNTS, images, zenodo

from rococap.data.image import read
from rococap.data.rocov2 import RocoV2
from rococap.types import SPLITS, Concept, UserError

needs_mini = pytest.mark.skipif(not MINI.is_dir(), reason="the shared data is not here")


def unzip(root: Path, split: str, target: str) -> None:
    (root / target).mkdir(parents=True)
    for name, content in images(split).items():
        (root / target / f"{name}.jpg").write_bytes(content)


def images_of(split: str) -> list[str]:
    return sorted(images(split))


def write(path: Path, header: str, rows: list[tuple[str, ...]], separator: str = ",", bom: bool = False) -> None:
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        file.write(header + "\r\n")
        csv.writer(file, delimiter=separator).writerows(rows)


@pytest.fixture
def copy(tmp_path) -> Path:
    return Path(shutil.copytree(zenodo(), tmp_path / "data"))


def test_zenodos_download_as_it_lies():
    source = RocoV2(str(zenodo()))
    assert {split: len(source.examples(split)) for split in SPLITS} == COUNTS
    for split in SPLITS:
        examples = source.examples(split)
        assert {example.id: " ".join(example.captions) for example in examples} == drawn.captions(split)
        assert not source.problems(split)
        manual, automatic = drawn.concepts(split)
        for example in examples:
            noted = [concept.cui for concept in example.concepts if concept.manual]
            assert noted == manual[example.id] and {concept.cui for concept in example.concepts} == set(
                automatic[example.id]
            )
            assert all(concept.name == drawn.NAMES.get(concept.cui, "") for concept in example.concepts)
    assert [example.attribution for example in source.examples("train")[:3]] == drawn.LICENCES
    assert read(source.examples("train")[0].image).mode == "RGB"


@needs_mini
def test_real_radiographs_as_they_lie():
    source = RocoV2(str(MINI))
    assert [len(source.examples(split)) for split in SPLITS] == [179, 34, 37]
    assert not any(source.problems(split) for split in SPLITS)
    example = next(example for example in source.examples("train") if example.id == "covidcxr_0002")
    assert example.captions[0].startswith("A 76-year-old man was referred")
    assert example.concepts[0] == Concept("C1306645", "Plain x-ray", manual=True)
    assert example.attribution
    automatic = next(example for example in source.examples("train") if example.id == "ROCO_00016")
    assert Concept("C0449416", "", manual=False) in automatic.concepts
    assert read(example.image).mode == "RGB"


@pytest.mark.parametrize("target", ["train", "train_images/train", "train_images", "train_ROCOv2/train"])
def test_unpacked_layouts(target, tmp_path):
    unzip(tmp_path, "train", target)
    shutil.copy(zenodo() / "train_captions.csv", tmp_path)
    packed, unpacked = RocoV2(str(zenodo())).examples("train"), RocoV2(str(tmp_path)).examples("train")
    assert [(e.id, e.captions) for e in packed] == [(e.id, e.captions) for e in unpacked]
    assert read(packed[5].image).tobytes() == read(unpacked[5].image).tobytes()


@pytest.mark.parametrize("inside", ["", "train_images/", "train_ROCOv2/train/"])
def test_zips_with_any_folder_inside(inside, tmp_path):
    with (
        zipfile.ZipFile(zenodo() / "train_images.zip") as packed,
        zipfile.ZipFile(tmp_path / "train.zip", "w") as archive,
    ):
        for number, name in enumerate(sorted(name for name in packed.namelist() if name.endswith(".jpg"))):
            archive.writestr(f"{inside}{Path(name).stem}{'.JPG' if number % 2 else '.jpg'}", packed.read(name))
        archive.writestr("__MACOSX/._ROCO_00001.jpg", b"of a Mac")
    shutil.copy(zenodo() / "train_captions.csv", tmp_path)
    ids = [example.id for example in RocoV2(str(tmp_path)).examples("train")]
    assert ids == [example.id for example in RocoV2(str(zenodo())).examples("train")]


@pytest.mark.parametrize("word", ["val", "validation"])
def test_other_words_for_valid(word, tmp_path):
    unzip(tmp_path, "valid", word)
    shutil.copy(zenodo() / "valid_captions.csv", tmp_path / f"{word}_captions.csv")
    assert len(RocoV2(str(tmp_path)).examples("valid")) == COUNTS["valid"]


# header, separator, file name, concept header and file name; as the editions write them
EDITIONS = {
    "2022": ("ID\tcaption", "\t", "caption_prediction_{}.csv", "ID\tcuis", "concept_detection_{}.csv"),
    "2023": (
        "ID\tcaption",
        "\t",
        "ImageCLEFmedical_Caption_2023_caption_prediction_{}_labels.csv",
        "ID\tcuis",
        "ImageCLEFmedical_Caption_2023_concept_detection_{}_labels.csv",
    ),
    "2024": ("ID,Caption", ",", "{}_captions.csv", "ID,CUIs", "{}_concepts.csv"),
    "2026": (
        "ImageCLEFmedical 2026 ID,Caption",
        ",",
        "ImageCLEFmedical_Caption_2026_{}_captions.csv",
        "ImageCLEFmedical 2026 ID,CUIs",
        "ImageCLEFmedical_Caption_2026_{}_concepts.csv",
    ),
    "2025": (
        "ImageCLEFmedical 2025 ID,Caption",
        ",",
        "{}_captions.csv",
        "ImageCLEFmedical 2025 ID,Cuis",
        "{}_concepts.csv",
    ),
}


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("written", ["ImageCLEF_{}_{}", "ImageCLEF_{}_{:06d}.jpg"])
def test_imageclefs_editions(edition, written, tmp_path):
    header, separator, captions, concept_header, concepts = EDITIONS[edition]
    for split in SPLITS:
        unzip(tmp_path, split, f"files/{split}")
        (tmp_path / split).mkdir()
        for number, path in enumerate(sorted((tmp_path / "files" / split).iterdir()), start=1):
            path.rename(tmp_path / split / f"ImageCLEF_{split}_{number:06d}.jpg")
    for split in ("train", "valid"):
        ids = [written.format(split, number) for number in range(1, len(images_of(split)) + 1)]
        rows = [(name, f"Caption, {number} \u201cof\u201d") for number, name in enumerate(ids)]
        write(tmp_path / captions.format(split), header, rows, separator, bom=True)
        write(tmp_path / concepts.format(split), concept_header, [(name, "C1;C2") for name in ids], separator)
    source = RocoV2(str(tmp_path))
    assert {split: len(source.examples(split)) for split in SPLITS} == COUNTS
    example = source.examples("valid")[3]
    assert example.captions == ("Caption, 3 \u201cof\u201d",)
    assert [concept.cui for concept in example.concepts] == ["C1", "C2"]
    assert all(example.captions == () for example in source.examples("test"))
    assert not source.problems("train")
    source.fingerprint()


def test_quirks_of_the_text(copy):
    captions = ["\u00a0 Two  blanks \u00a0inside\u00a0", 'Line one\r\nline "two"', "x" * 200_000]
    ids = images_of("valid")[:3]
    write(copy / "valid_captions.csv", "ID,Caption", list(zip(ids, captions, strict=True)), bom=True)
    with pytest.raises(UserError, match="valid_captions"):  # longer than any caption: an open quote swallowed the rest
        RocoV2(str(copy)).examples("valid")
    write(copy / "valid_captions.csv", "ID,Caption", list(zip(ids[:2], captions[:2], strict=True)), bom=True)
    read_back = [example.captions[0] for example in RocoV2(str(copy)).examples("valid")]
    assert read_back == ["Two  blanks \u00a0inside", 'Line one\r\nline "two"']


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_rocov2s_own_rows_are_read(tmp_path):
    text = SHARED / "data" / "rocov2_text"
    (tmp_path / "test").mkdir()
    with (text / "test_captions.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    picture = next(iter(images("test").values()))
    for name, _ in rows:
        (tmp_path / "test" / f"{name}.jpg").write_bytes(picture)
    for path in text.iterdir():
        shutil.copy(path, tmp_path)
    examples = RocoV2(str(tmp_path)).examples("test")
    assert [(e.id, e.captions[0]) for e in examples] == [(name, caption.strip()) for name, caption in rows]
    assert all(concept.manual for example in examples for concept in example.concepts)


def test_what_is_odd_is_left_out_counted_and_named(copy, caplog):
    names = images_of("valid")
    rows = [(name, "text") for name in names[2:]]  # two images without id
    rows[0] = (rows[0][0], " \u00a0 ")
    rows += [("nowhere_1", "text"), ("nowhere_2", "text"), (names[5], "another text"), ("too", "many", "fields")]
    write(copy / "valid_captions.csv", "ID,Caption", rows)
    with caplog.at_level(logging.WARNING):
        examples = RocoV2(str(copy)).examples("valid")
    assert [example.id for example in examples] == names[3:]
    assert {example.captions for example in examples} == {("text",)}
    messages = "\n".join(caplog.messages)
    assert (
        f"valid: 2 images have no id in the captions file and are left out (first: {names[0]}, {names[1]})" in messages
    )
    assert "valid: 2 ids have no image and are left out (first: nowhere_1, nowhere_2)" in messages
    assert f"valid: 1 captions are empty; these images are left out (first: {names[2]})" in messages
    assert f"valid: 1 lines repeat an id; the first of each is kept (first: {names[5]})" in messages
    assert "1 lines of valid_captions.csv have too few or too many fields" in messages
    assert len(caplog.messages) == 5


def test_ten_thousand_bad_rows_are_one_line(copy, caplog):
    with (copy / "valid_captions.csv").open("a", encoding="utf-8") as file:
        file.write("broken\n" * 10_000)
    with caplog.at_level(logging.WARNING):
        assert len(RocoV2(str(copy)).examples("valid")) == COUNTS["valid"]
    assert len(caplog.messages) == 1
    assert "10,000 lines" in caplog.messages[0]


def test_a_missing_folder_says_how_to_get_it(tmp_path):
    for root in (None, str(tmp_path / "nothing"), str(tmp_path)):
        with pytest.raises(UserError) as error:
            RocoV2(root).examples("train")
        for part in ("10821435", "rocov2_hub", "experiment=demo", "CC BY", "Rückert"):
            assert part in str(error.value)


def test_errors_say_what_where_and_what_to_do(copy):
    def message(split="train") -> str:
        with pytest.raises(UserError) as error:
            RocoV2(str(copy)).examples(split)
        return str(error.value)

    assert "no split 'dev'" in message("dev")
    whole = (copy / "train_images.zip").read_bytes()
    (copy / "train_images.zip").write_bytes(whole[:-5000])
    assert "train_images.zip" in message() and "truncated" in message()
    (copy / "train_images.zip").unlink()
    assert "no images of train" in message()
    (copy / "train_images.zip").write_bytes(whole)
    write(copy / "train_captions.csv", "ID,Text", [("a", "b")])
    assert "no column 'Caption'" in message() and "ID, Text" in message()
    write(copy / "train_captions.csv", "ID,Caption", [("a", "b")])
    assert "None of the 1 ids" in message()
    (copy / "train_captions.csv").write_bytes("ID,Caption\na,\u80f8\u90e8\n".encode("shift-jis"))
    assert "UTF-8" in message()
    (copy / "train_captions.csv").write_bytes(b"")
    assert "empty" in message()
    (copy / "train_captions.csv").unlink()
    assert "no captions of train" in message()


def test_a_folder_above_the_data_is_recognised(copy):
    (copy.parent / "other").mkdir()
    with pytest.raises(UserError, match=f"data.root={copy}"):
        RocoV2(str(copy.parent)).examples("train")


def test_members_that_point_outside_are_left_out(copy, caplog):
    with zipfile.ZipFile(copy / "valid_images.zip", "a") as archive:
        for name in ("../../evil.jpg", "/evil.jpg", "valid/../../evil.jpg", "..\\evil.jpg", "C:\\evil.jpg"):
            archive.writestr(name, b"x")
    with caplog.at_level(logging.WARNING):
        assert len(RocoV2(str(copy)).examples("valid")) == COUNTS["valid"]
    assert "5 members of zips point outside of them and are left out" in caplog.text


def test_the_fingerprint_follows_ids_captions_and_images(copy):
    seen = {RocoV2(str(copy)).fingerprint()}
    assert seen == {RocoV2(str(zenodo())).fingerprint()}

    def changed() -> bool:
        seen.add(digest := RocoV2(str(copy)).fingerprint())
        return digest

    text = (copy / "test_captions.csv").read_text(encoding="utf-8")
    (copy / "test_captions.csv").write_text(text.replace(" a ", " the ", 1), encoding="utf-8")
    changed()
    (copy / "test_captions.csv").write_text(text, encoding="utf-8")
    with zipfile.ZipFile(copy / "test_images.zip") as archive:
        contents = {member: archive.read(member) for member in archive.namelist()}
    first = next(name for name in contents if name.endswith(".jpg"))
    contents[first] += b"\0"
    with zipfile.ZipFile(copy / "test_images.zip", "w") as archive:
        for member, content in contents.items():
            archive.writestr(member, content)
    changed()
    assert len(seen) == 3
    (copy / "test_images.zip").unlink()
    (copy / "test_captions.csv").unlink()
    changed()
    assert len(seen) == 4
