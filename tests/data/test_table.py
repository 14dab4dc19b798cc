"""Tables and folders that people have: read by what their columns are called, split without parting a patient."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import zipfile
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from rococap.data.division import divide
from rococap.data.folder import Folder
from rococap.data.image import read
from rococap.data.phantom.source import Phantom
from rococap.data.table import Table
from rococap.types import SPLITS, Concept, UserError

SOURCE = {"columns": None, "valid": 0.2, "test": 0.2, "seed": 0}
COUNT = 20
DRAWN = Phantom(COUNT, 1, 1, seed=0).examples("train")


def draw(folder: Path, count: int = COUNT) -> list[str]:
    """Images, and their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(DRAWN[:count]):
        example.image.open().resize((24, 24)).save(folder / f"{number:02}.png")
    return [f"{number:02}.png" for number in range(count)]


def rows(images: list[str], header: str = "file_name,report,patient_id") -> list[dict[str, str]]:
    """A line an image; two images a patient."""
    columns = header.split(",")
    values = [(name, f"A caption, of {name}", f"p{number // 2}") for number, name in enumerate(images)]
    return [dict(zip(columns, each, strict=False)) for each in values]


def write(file: Path, lines: list[dict]) -> Path:
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    elif file.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(lines), file)
    else:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(lines[0]), delimiter="\t" if file.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(lines)
    return file


def table(file: Path, **settings: object) -> Table:
    return Table(str(file), **(SOURCE | settings))


def everything(source: Table | Folder) -> dict[str, tuple[str, tuple[str, ...], str]]:
    return {e.id: (split, e.captions, e.group) for split in SPLITS for e in source.examples(split)}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_says_the_same(suffix, tmp_path):
    lines = rows(draw(tmp_path / "images"))
    reference = everything(table(write(tmp_path / "a.csv", lines)))
    source = table(write(tmp_path / f"x.{suffix}", lines))
    assert everything(source) == reference and len(reference) == COUNT
    assert reference["03"][1:] == (("A caption, of 03.png",), "p1")
    assert not any(source.problems(split) for split in SPLITS)
    example = next(e for split in SPLITS for e in source.examples(split) if e.id == "03")
    assert read(example.image).tobytes() == read(DRAWN[3].image).resize((24, 24)).tobytes()


@pytest.mark.parametrize(
    "header",
    ["image,caption,group", "Image Path,Text,Subject-ID", "ID,Findings,PMCID", "filename,impression,study_id"],
)
def test_columns_are_known_by_what_people_call_them(header, tmp_path):
    found = everything(table(write(tmp_path / "x.csv", rows(draw(tmp_path), header))))
    assert len(found) == COUNT and found["03"][1:] == (("A caption, of 03.png",), "p1")


def test_columns_are_those_that_are_given(tmp_path):
    lines = [{"a": r["file_name"], "b": r["report"], "text": "no", "c": "p"} for r in rows(draw(tmp_path))]
    file = write(tmp_path / "x.csv", lines)
    with pytest.raises(
        UserError, match=r"no column is known to hold the images.*a, b, text, c\.\n.*columns\.image=NAME"
    ):
        table(file).examples("train")
    with pytest.raises(UserError, match=r"no column 'd', as data\.columns\.image says\.\nIts columns: a, b, text, c"):
        table(file, columns={"image": "d"}).examples("train")
    found = everything(table(file, columns={"image": "a", "caption": "b", "group": None}))
    assert found["03"][1:] == (("A caption, of 03.png",), "")


@pytest.mark.parametrize("seed", range(5))
def test_splits_part_no_patient_and_hang_on_the_seed_alone(seed, tmp_path, caplog):
    lines = rows(draw(tmp_path))
    with caplog.at_level(logging.INFO):
        found = everything(table(write(tmp_path / "x.csv", lines), seed=seed))
    of_group: dict[str, set[str]] = {}
    for split, _, group in found.values():
        of_group.setdefault(group, set()).add(split)
    assert len(of_group) == COUNT // 2 and all(len(splits) == 1 for splits in of_group.values())
    assert Counter(split for split, *_ in found.values()) == {"train": 12, "valid": 4, "test": 4}
    assert f"12 are train, 4 are valid, 4 are test (data.source.seed={seed})" in caplog.text
    assert "may stand in several splits" not in caplog.text
    again = everything(table(write(tmp_path / "y.csv", lines[::-1]), seed=seed))
    assert again == found
    assert everything(table(tmp_path / "x.csv", seed=seed + 1)) != found


def test_patients_that_a_table_itself_parts_are_named(tmp_path, caplog):
    lines = rows(draw(tmp_path))
    for number, line in enumerate(lines):
        line["split"] = "Test" if number in {1, 2, 3} else "val" if number > 17 else "train"
    source = table(write(tmp_path / "x.csv", lines))
    assert [e.id for e in source.examples("test")] == ["01", "02", "03"]
    problem = "images are of a patient or article that is also trained on"
    assert source.problems("test") == {problem: ["01"]} and not source.problems("valid")
    assert f"test: 1 {problem} (first: 01)" in caplog.text


def test_without_a_column_of_patients_it_is_said_that_they_may_be_parted(tmp_path, caplog):
    found = everything(table(write(tmp_path / "x.csv", rows(draw(tmp_path), "image,caption"))))
    assert Counter(split for split, *_ in found.values()) == {"train": 12, "valid": 4, "test": 4}
    assert "data.columns.group=NAME" in caplog.text


def test_only_the_splits_that_no_line_names_are_made(tmp_path):
    lines = rows(draw(tmp_path))
    for number, line in enumerate(lines):
        line["split"] = "test" if number < 6 else "train"
    found = everything(table(write(tmp_path / "x.csv", lines)))
    assert [name for name, (split, *_) in found.items() if split == "test"] == [f"{n:02}" for n in range(6)]
    assert 0 < sum(split == "valid" for split, *_ in found.values()) <= 3
    for line in lines:
        line["split"] = "test"
    with pytest.raises(UserError, match="none of its lines is for training"):
        table(write(tmp_path / "y.csv", lines)).examples("train")
    lines[3]["split"] = "holdout"
    with pytest.raises(UserError, match="03 is said to be of the split 'holdout'"):
        table(write(tmp_path / "z.csv", lines)).examples("train")


def test_several_captions_stand_in_several_lines_or_in_a_list(tmp_path):
    lines = rows(draw(tmp_path))
    more = [*lines, {**lines[3], "report": "Another one"}, {**lines[3]}]
    captions = ("A caption, of 03.png", "Another one")
    assert everything(table(write(tmp_path / "x.csv", more)))["03"][1] == captions
    listed = [{**line, "report": [line["report"], "Another one"]} for line in lines]
    for suffix in ("jsonl", "parquet"):
        assert everything(table(write(tmp_path / f"x.{suffix}", listed)))["03"][1] == captions


def test_concepts_and_licences_are_kept(tmp_path):
    lines = [{**line, "CUIs": "C1; C2", "licence": "CC BY [someone]"} for line in rows(draw(tmp_path))]
    example = table(write(tmp_path / "x.csv", lines)).examples("train")[0]
    assert example.concepts == (Concept("C1"), Concept("C2")) and example.attribution == "CC BY [someone]"


@pytest.mark.parametrize("how", ["beside", "deep", "zip", "bare", "absolute", "backslashes"])
def test_images_are_found_wherever_they_lie_below(how, tmp_path):
    names = draw(tmp_path / {"deep": "a/b/c"}.get(how, "images"))
    lines = rows(names)
    for line in lines:
        path = {"beside": "images/", "backslashes": "images\\", "absolute": f"{tmp_path}/images/"}.get(how, "")
        line["file_name"] = f"{path}{line['file_name']}" if how != "bare" else Path(line["file_name"]).stem
    if how == "zip":
        with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
            for name in names:
                archive.write(tmp_path / "images" / name, f"pictures/{name}")
        shutil.rmtree(tmp_path / "images")
    source = table(write(tmp_path / "x.csv", lines))
    assert len(everything(source)) == COUNT and not any(source.problems(split) for split in SPLITS)
    inside = "images/" if how in {"beside", "absolute", "backslashes"} else ""
    assert f"{inside}03" in everything(source)
    assert read(source.examples("test")[0].image).size == (24, 24)


def test_what_is_odd_is_left_out_and_named(tmp_path):
    lines = rows(draw(tmp_path / "a"))
    draw(tmp_path / "b", 1)  # 00.png is there twice now
    lines[1]["file_name"], lines[2]["report"], lines[3]["file_name"] = "gone.png", " ", ""
    file = write(tmp_path / "x.csv", lines)
    with file.open("a") as stream:
        stream.write("too,many,fields,here\n")
    source = table(file)
    found = {problem: names for split in SPLITS for problem, names in source.problems(split).items()}
    assert found == {
        "lines cannot be read and are left out": ["x.csv line 22", "x.csv row 4"],
        "images are named and not there, or several are called so; these are left out": ["00", "gone"],
        "captions are empty; these images are left out": ["02"],
    }
    assert everything(source).keys() == {f"{number:02}" for number in range(4, COUNT)}


def test_a_folder_of_tables(tmp_path):
    images = draw(tmp_path)
    for name, part in (("train", slice(0, 10)), ("val", slice(10, 15)), ("test", slice(15, 20))):
        write(tmp_path / f"{name}.csv", rows(images)[part])
    found = everything(table(tmp_path))
    assert Counter(split for split, *_ in found.values()) == {"train": 10, "valid": 5, "test": 5}
    write(tmp_path / "more.csv", rows(images))
    assert everything(table(tmp_path)) == found
    write(tmp_path / "training.csv", rows(images))
    with pytest.raises(
        UserError, match=r"its tables: more.csv, test.csv, train.csv, training.csv, val.csv\.\nSay which"
    ):
        table(tmp_path).examples("train")


@pytest.mark.parametrize("kind", ["txt", "metadata.csv", "metadata.jsonl"])
@pytest.mark.parametrize("split", [False, True])
def test_folders(kind, split, tmp_path):
    places = {"train": range(12), "validation": range(12, 16), "test": range(16, 20)} if split else {"": range(20)}
    for name, numbers in places.items():
        draw(tmp_path / name)
        for number in set(range(COUNT)) - set(numbers):
            (tmp_path / name / f"{number:02}.png").unlink()
        lines = [{"file_name": f"{number:02}.png", "text": f"Caption {number}"} for number in numbers]
        if kind == "txt":
            for number, line in zip(numbers, lines, strict=True):
                (tmp_path / name / f"{number:02}.txt").write_text(f"\ufeff {line['text']}\n")
        else:
            write(tmp_path / name / kind, lines)
    source = Folder(str(tmp_path), **SOURCE)
    found = everything(source)
    assert Counter(split for split, *_ in found.values()) == {"train": 12, "valid": 4, "test": 4}
    assert found["test/17" if split else "17"][1] == ("Caption 17",)
    assert not any(source.problems(split) for split in SPLITS)


def test_images_without_a_text_file_are_left_out_and_named(tmp_path):
    draw(tmp_path / "train", 6)
    draw(tmp_path / "val", 6)
    draw(tmp_path / "test", 3)
    for number in range(6):
        for split in ("train", "val"):
            (tmp_path / split / f"{number:02}.txt").write_text(f"Caption {number}" if number else "")
    (tmp_path / "train" / "03.txt").unlink()
    source = Folder(str(tmp_path), **SOURCE)
    left_out = "captions are empty; these images are left out"
    assert source.problems("train") == {left_out: ["train/00", "train/03"]}
    assert source.problems("valid") == {left_out: ["val/00"]}
    assert [example.captions for example in source.examples("test")] == [()] * 3  # to be captioned, not scored


def test_mistakes_are_named(tmp_path):
    for kind, there in product((Table, Folder), (None, "nowhere")):
        with pytest.raises(UserError, match="is not there: give a table, or a folder of images"):
            kind(there, **SOURCE).examples("train")
    with pytest.raises(UserError, match=r"holds no single table.* none\."):
        table(tmp_path).examples("train")
    with pytest.raises(UserError, match="holds no image with a text file of its name"):
        Folder(str(tmp_path), **SOURCE).examples("train")
    file = write(tmp_path / "x.csv", rows(["a.png", "b.png"]))
    with pytest.raises(UserError, match=r"2 lines name an image, and none is there, .*: the first is a"):
        table(file).examples("train")
    with pytest.raises(UserError, match="is no folder: a table is data=table"):
        Folder(str(file), **SOURCE).examples("train")
    draw(tmp_path, 4)
    write(file, rows(["00.png", "01.png", "02.png", "03.png"]))
    with pytest.raises(UserError, match=r"4 images of 2 groups .* are too few to make train of"):
        table(file).examples("train")
    (tmp_path / "y.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"y.parquet (cannot be read|needs the package pyarrow)"):
        table(tmp_path / "y.parquet").examples("train")


def test_a_group_that_is_larger_than_a_split_trains():
    groups = ["large"] * 60 + [f"small {number}" for number in range(40)]
    found = divide(groups, {"test": 0.1, "valid": 0.1}, seed=0)
    assert set(found[:60]) == {"train"} and Counter(found[60:]) == {"test": 10, "valid": 10, "train": 20}
    with pytest.raises(UserError, match=r"data\.source\.test=1\.5 is no share"):
        divide(groups, {"test": 1.5}, seed=0)
