"""Folders and zips with everything in them that a copy of a dataset may hold."""

import os
import shutil
import subprocess
import sys
import unicodedata
import zipfile

import pytest
from commands import ROOT
from dirty import Copy, packed
from PIL import Image

from rococap.data.complete import Missing
from rococap.data.folder import Folder
from rococap.data.image import FileImage, ZipImage, read
from rococap.data.image_files import ImageFiles
from rococap.data.places import pictures_in
from rococap.data.rocov2 import RocoV2
from rococap.data.table import Table
from rococap.types import UserError

PICTURE = packed(Image.new("L", (8, 8), 99))


@pytest.fixture
def folder(tmp_path):
    return Copy(12).write(tmp_path / "data")


def unpacked(folder, split="train", target=None):
    with zipfile.ZipFile(folder / f"{split}_images.zip") as archive:
        archive.extractall(folder / (target or f"{split}_images"))
    return sorted((folder / (target or f"{split}_images")).rglob("*.jpg"))


def found(folder, split="train"):
    source = RocoV2(str(folder))
    return {e.id: read(e.image).tobytes() for e in source.examples(split)}, source.problems(split)


# Folders


def test_a_folder_that_is_half_unpacked_is_filled_from_its_zip(folder):
    whole, _ = found(folder)
    files = unpacked(folder)
    for file in files[5:]:
        file.unlink()
    files[4].write_bytes(files[4].read_bytes()[:-9])  # the one at which it stopped
    images, problems = found(folder)
    assert images == whole
    assert list(problems) == [
        "files are not as large as in their zip, from which they are read: they were half unpacked"
    ]


def test_so_is_one_of_a_zip_that_holds_all_splits(folder):
    whole = {split: found(folder, split)[0] for split in ("train", "valid", "test")}
    with zipfile.ZipFile(folder / "rocov2.zip", "w") as archive:
        for split in whole:
            for file in unpacked(folder, split, "all"):
                archive.write(file, f"images/{split}/{file.name}")
            shutil.rmtree(folder / "all")
    for split in whole:
        (folder / f"{split}_images.zip").unlink()
    with zipfile.ZipFile(folder / "rocov2.zip") as archive:
        archive.extractall(folder, [name for name in archive.namelist() if "/train/" in name][:3])
    (folder / "images" / "train").rename(folder / "train")
    assert {split: found(folder, split) for split in whole} == {split: (whole[split], {}) for split in whole}


@pytest.mark.parametrize("inside", ["images", "."])
def test_a_place_for_all_splits_without_a_word_of_them_is_told_apart_by_ids(inside, folder):
    whole = {split: found(folder, split)[0] for split in ("train", "valid", "test")}
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for split in whole:
            for file in unpacked(folder, split, "all"):
                archive.write(file, f"{inside}/{file.name}" if inside != "." else file.name)
            shutil.rmtree(folder / "all")
            (folder / f"{split}_images.zip").unlink()
    assert {split: found(folder, split) for split in whole} == {split: (whole[split], {}) for split in whole}
    (folder / "test_captions.csv").unlink()
    assert not RocoV2(str(folder)).has("test")  # any of them might be its images


def test_a_spoilt_zip_beside_a_whole_folder_is_done_without(folder):
    whole, _ = found(folder)
    unpacked(folder)
    archive = folder / "train_images.zip"
    archive.write_bytes(archive.read_bytes()[:-100])
    images, problems = found(folder)
    assert images == whole and "is it truncated?" in str(problems)


def test_links_that_lead_nowhere_or_round_in_circles_are_named(folder):
    whole, _ = found(folder)
    unpacked(folder, target="train")
    (folder / "train_images.zip").unlink()
    (folder / "train" / "nothing.jpg").symlink_to("gone.jpg")
    (folder / "train" / "itself.jpg").symlink_to("itself.jpg")
    (folder / "train" / "up").symlink_to(folder / "train", target_is_directory=True)
    images, problems = found(folder)
    assert images == whole
    named = {what: sorted(os.path.basename(name) for name in names) for what, names in problems.items()}
    assert named == {
        "links lead nowhere and are left out": ["itself.jpg", "nothing.jpg"],
        "links lead to a folder that is listed already, and are left out": ["up"],
    }


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="another user's rights are needed")
def test_a_folder_that_may_not_be_read_is_named(folder):
    unpacked(folder, target="train")
    (folder / "train_images.zip").unlink()
    (folder / "train" / "locked").mkdir(mode=0o700)
    (folder / "train" / "locked" / "x.png").write_bytes(PICTURE)
    code = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from rococap.data.rocov2 import RocoV2\n"
        "os.setuid(65534)\n"
        "source = RocoV2(sys.argv[1]); print(len(source.examples('train')), dict(source.problems('train')))"
    )
    for place in [folder, *folder.parents][:-2]:
        place.chmod(0o755)
    words = [sys.executable, "-c", code, str(folder), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, env={"ROCOCAP_CACHE": "/nowhere"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 {'folders cannot be read and are left out': [") and "locked" in done.stdout


def test_own_folders_and_tables_name_them_too(tmp_path):
    place = tmp_path / "own"
    place.mkdir()
    for number in range(9):
        (place / f"{number}.png").write_bytes(PICTURE)
        (place / f"{number}.txt").write_text(f"caption {number}")
    (place / "gone.png").symlink_to("nowhere.png")
    (place / "round").symlink_to(place, target_is_directory=True)
    (place / "table.csv").write_text("image,caption\n" + "".join(f"x/{n}.png,caption {n}\n" for n in range(9)))
    settings = {"columns": None, "valid": 0.2, "test": 0.2, "seed": 0}
    for source in (Folder(str(place), **settings), Table(str(place / "table.csv"), **settings)):
        problems = source.problems("train")
        assert "links lead nowhere and are left out" in problems and len(problems) == 2
        assert sum(len(source.examples(split)) for split in ("train", "valid", "test")) == 9


def test_a_table_finds_what_is_not_unpacked_in_the_zip(tmp_path):
    copy = Copy(6)
    place = tmp_path / "own"
    place.mkdir()
    images = {f"deep/{name}.jpg": content for name, content in copy.images["train"].items()}
    with zipfile.ZipFile(place / "images.zip", "w") as archive:
        for name, content in images.items():
            archive.writestr(name, content)
    (place / "images" / "deep").mkdir(parents=True)
    for name in list(images)[:2]:
        (place / "images" / name).write_bytes(images[name])
    (place / "table.csv").write_text("image,caption\n" + "".join(f"{name},text\n" for name in images))
    files = ImageFiles(place)
    assert [type(files.find(name)) for name in images] == [FileImage] * 2 + [ZipImage] * 4
    assert [type(files.find(name.rpartition("/")[2])) for name in images] == [FileImage] * 2 + [ZipImage] * 4


def test_texts_and_images_of_a_folder_that_lack_each_other_are_named(tmp_path):
    for number in range(30):
        (tmp_path / f"{number:02}.png").write_bytes(PICTURE)
        (tmp_path / f"{number:02}.txt").write_text("caption")
    (tmp_path / "29.png").unlink()
    (tmp_path / "00.txt").unlink()
    (tmp_path / "README.txt").write_text("about these images")
    source = Folder(str(tmp_path), columns=None, valid=0.2, test=0.2, seed=0)
    problems = {what: names for split in ("train", "valid", "test") for what, names in source.problems(split).items()}
    assert sorted(problems.values()) == [["00"], ["29"]]
    assert source.missing("train")[0] == Missing(1, 30)
    zipped(tmp_path, [f"{number:02}.png" for number in range(32)])
    source = Folder(str(tmp_path), columns=None, valid=0.2, test=0.2, seed=0)
    assert source.missing("train")[0].count == 3  # 29 to 31, of which the zip tells


def test_a_caption_taken_for_a_file_name_is_no_crash(tmp_path):
    (tmp_path / "a.png").write_bytes(PICTURE)
    files = ImageFiles(tmp_path)
    assert files.find("x" * 5000) is None and files.find("a\0b") is None and files.find("") is None
    assert files.find("A.PNG") == FileImage(tmp_path / "a.png")


# Zips


def zipped(folder, names, content=PICTURE, **settings):
    with zipfile.ZipFile(folder / "x.zip", "w", **settings) as archive:
        for name in names:
            archive.writestr(name, content)
    return folder / "x.zip"


def patched(archive, changes):
    """Change bytes of each header of a zip: place from its begin -> bytes, locally and in the directory."""
    content = bytearray(archive.read_bytes())
    for mark, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        begin = content.find(mark)
        while begin >= 0:
            for place, value in changes.items():
                content[begin + shift + place : begin + shift + place + len(value)] = value
            begin = content.find(mark, begin + 4)
    archive.write_bytes(content)
    return archive


def test_backslashes_are_folders(tmp_path):
    archive = zipped(tmp_path, ["train\\a.png", "train\\deep\\b.png"])
    (tmp_path / "x.csv").write_text("image,caption\ntrain/a.png,one\ndeep/b.png,two\n")
    assert [str(each.path) for each in pictures_in(archive, {})] == ["train/a.png", "train/deep/b.png"]
    assert isinstance(ImageFiles(tmp_path).find("train/a.png"), ZipImage)


def test_names_in_utf8_that_do_not_say_so(tmp_path):
    archive = patched(zipped(tmp_path, ["Größe.png"]), {6: b"\0\0"})
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() != ["Größe.png"]
    [image] = pictures_in(archive, {})
    assert str(image.path) == "Größe.png" and read(image.image).size == (8, 8)


@pytest.mark.parametrize(
    ("flag", "method", "said"), [(1, 0, "is encrypted"), (0, 9, "by Deflate64"), (0, 99, "method 99")]
)
def test_what_cannot_be_unpacked_is_refused(flag, method, said, tmp_path):
    archive = patched(zipped(tmp_path, ["train/a.png"]), {6: bytes([flag, 0]), 8: bytes([method, 0])})
    with pytest.raises(UserError, match=said) as error:
        pictures_in(archive, {})
    assert str(error.value).startswith(f"{archive} is ") and "put the folder in its place" in str(error.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_can_be_is_read(method, tmp_path):
    [image] = pictures_in(zipped(tmp_path, ["a.png"], compression=method), {})
    assert read(image.image).size == (8, 8) and image.size == len(PICTURE)


@pytest.mark.parametrize("name", ["rocov2.train", "rocov2.v1.train", "Train Images", "train_images.zip"])
def test_folders_by_any_name(name, folder):
    whole, _ = found(folder)
    unpacked(folder, target="elsewhere")
    (folder / "train_images.zip").unlink()
    (folder / "elsewhere").rename(folder / name)
    assert found(folder) == (whole, {})


# Ids


@pytest.mark.parametrize(
    ("listed", "stored"),
    [
        ("train/{}", "{}"),
        ("images\\train\\{}.jpg", "{}"),
        ("{}.png.jpg", "{}"),
        ("{}", "{}.png"),
        ("{}", "{}-Bäume"),
    ],
)
def test_ids_that_tables_write_otherwise(listed, stored, tmp_path):
    copy = Copy(4)
    ids = copy.ids("train")
    stored = stored.replace("-Bäume", unicodedata.normalize("NFD", "-Bäume"))
    listed = listed + ("-Bäume" if "-B" in stored else "")
    for name, entry in zip(ids, copy.captions["train"], strict=True):
        copy.images["train"][stored.format(name)] = copy.images["train"].pop(name)
        entry[0] = listed.format(name)
    source = RocoV2(str(copy.write(tmp_path)))
    assert len(source.examples("train")) == 4 and not source.problems("train")


def test_ids_in_another_case_and_those_that_differ_in_nothing_else(tmp_path):
    copy = Copy(4)
    ids = copy.ids("train")
    for entry in copy.captions["train"]:
        entry[0] = entry[0].upper()
    copy.captions["train"].append([ids[0].title(), "an image that another id has"])
    source = RocoV2(str(copy.write(tmp_path)))
    assert [e.id for e in source.examples("train")] == [name.upper() for name in ids]
    assert source.problems("train") == {"ids have no image and are left out": [ids[0].title()]}
