"""Lines that say odd things of images: no image takes another's caption, and nothing is left out in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from rococap.data.complete import Missing
from rococap.data.folder import Folder
from rococap.data.table import Table
from rococap.types import SPLITS, UserError

SOURCE = {"columns": None, "valid": 0.2, "test": 0.2, "seed": 0}


def draw(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(folder / name)


def table(file: Path, text: str) -> Table:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return Table(str(file), **SOURCE)


def captions(source: Table | Folder) -> dict[str, str]:
    """By the name of its file, an image's captions."""
    examples = [example for split in SPLITS for example in source.examples(split)]
    assert len({example.id for example in examples}) == len(examples)
    return {str(example.image).rpartition("far/")[2]: " | ".join(example.captions) for example in examples}


@pytest.mark.parametrize("form", ["p{}/view1.png", "{}.png", "{}/{}.jpg"])
def test_images_of_one_name_elsewhere_stay_apart_and_moving_changes_nothing(form, tmp_path):
    names = [form.format(number, number) for number in range(10)]
    draw(tmp_path / "far", names)
    listed = [f"{tmp_path}/far/{name}" for name in names]
    source = table(tmp_path / "near" / "x.csv", "path,report\n" + "".join(f"{n},of {n[-9:]}\n" for n in listed))
    assert captions(source) == {name: f"of {f'far/{name}'[-9:]}" for name in names}
    ids = [example.id for split in SPLITS for example in source.examples(split)]
    shutil.move(tmp_path / "far", tmp_path / "moved" / "far")
    moved = table(tmp_path / "near" / "x.csv", source.root.read_text().replace("/far/", "/moved/far/"))
    assert [example.id for split in SPLITS for example in moved.examples(split)] == ids


def test_images_whose_names_differ_in_the_ending_alone_stay_apart(tmp_path):
    names = [f"{number}.{ending}" for number in range(5) for ending in ("png", "jpg")]
    draw(tmp_path / "far", names)
    source = table(tmp_path / "far" / "x.csv", "file,report\n" + "".join(f"{name},of {name}\n" for name in names))
    assert captions(source) == {name: f"of {name}" for name in names}
    for number in range(5):
        (tmp_path / "far" / f"{number}.txt").write_text(f"of {number}")
    folder = Folder(str(tmp_path / "far"), **SOURCE)
    assert captions(folder) == {f"{number}.jpg": f"of {number}" for number in range(5)}
    [twins] = [names for what, names in folder.problems("train").items() if "but for its ending" in what]
    assert twins == [f"{number}.png" for number in range(5)]


def test_a_table_of_each_split_finds_its_images_in_the_folder_of_its_name(tmp_path):
    for split in ("train", "val", "test"):
        draw(tmp_path / "far" / split, [f"{number}.png" for number in range(3)])
        lines = "".join(f"{number}.png,{split} {number}\n" for number in range(3))
        (tmp_path / "far" / f"{split}.csv").write_text(f"file,report\n{lines}")
    found = captions(Table(str(tmp_path / "far"), **SOURCE))
    assert found == {f"{split}/{n}.png": f"{split} {n}" for split in ("train", "val", "test") for n in range(3)}


def test_an_image_of_two_splits_is_refused(tmp_path):
    draw(tmp_path, [f"{number}.png" for number in range(6)])
    lines = "".join(f"{number}.png,c,{('train', 'valid', 'test')[number % 3]}\n" for number in range(6))
    assert table(tmp_path / "x.csv", f"file,report,split\n{lines}0.png,another,Training\n").examples("train")
    with pytest.raises(UserError, match="1 images are said to be of several splits, such as 0 of train and of test"):
        table(tmp_path / "x.csv", f"file,report,split\n{lines}0.png,another,test\n").examples("train")


def test_images_of_no_split_among_others_are_named(tmp_path):
    draw(tmp_path, [f"{number}.png" for number in range(8)])
    lines = "".join(f"{number}.png,c,{('train', 'valid', 'test', '')[number % 4]}\n" for number in range(8))
    [(what, names)] = table(tmp_path / "x.csv", f"file,report,split\n{lines}").problems("train").items()
    assert "nothing says of which split" in what and names == ["3", "7"]
    silent = table(tmp_path / "x.csv", f"file,report,split\n{lines.replace('train', '')}")  # all that train are
    assert not silent.problems("train")


def test_lines_that_cannot_be_read_are_missing(tmp_path):
    draw(tmp_path, [f"{number}.png" for number in range(20)])
    lines = "".join(f"{number}.png,caption{', and more' * (number < 5)}\n" for number in range(20))
    source = table(tmp_path / "x.csv", f"file,report\n{lines}")
    assert all(Missing(5, 20, "lines cannot be read") in source.missing(split) for split in SPLITS)
    with pytest.raises(UserError, match=r"no line names an image; 20 cannot be read, the first is x.csv line 2\.\n"):
        table(tmp_path / "x.csv", f"file,report\n{lines}".replace(",caption", ",a,caption")).examples("train")


def test_nothing_is_called_nan_and_several_images_of_a_line_are_named(tmp_path):
    draw(tmp_path, [f"{number}.png" for number in range(12)])
    rows = [{"file": [f"{n}.png"], "report": f"c{n}", "patient_id": float("nan")} for n in range(11)]
    rows += [{"file": ["11.png", "0.png"], "report": "c11", "subject": None}]
    rows[3]["report"] = float("nan")
    source = table(tmp_path / "x.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    said = {what: names for split in SPLITS for what, names in source.problems(split).items()}
    assert said == {
        "captions are empty; these images are left out": ["3"],
        "lines name several images, of which the first is taken": ["11"],
    }
    assert not any(example.group for split in SPLITS for example in source.examples(split))


@pytest.mark.parametrize(("name", "said"), [("x.json", "as .jsonl"), ("x.xlsx", "Save the sheet as CSV")])
def test_files_that_are_no_tables(name, said, tmp_path):
    with pytest.raises(UserError, match=f"{name} is no table that is read here .*\n.*{said}"):
        table(tmp_path / name, "[]").examples("train")


def test_images_within_a_table_are_the_hubs(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    rows = [{"image": {"bytes": b"x", "path": "x.png"}, "text": "c"}]
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"'image' holds images, not their names.\n.*data=hub data.path="):
        Table(str(tmp_path / "x.parquet"), **SOURCE).examples("train")
