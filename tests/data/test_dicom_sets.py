"""DICOM files as the images of a dataset, in folders and zips, with and without a suffix."""

import csv
import zipfile

import numpy as np
import pytest
from made_dicom import SECRET, dataset, written
from making import scaled
from standin import Words
from test_reports import IU, XML

from rococap.data.doctor.examination import examine
from rococap.data.folder import Folder
from rococap.data.image import UnreadableImage, read
from rococap.data.image_files import ImageFiles
from rococap.data.iu_xray import IuXray
from rococap.data.kept.images import open_images
from rococap.data.rocov2 import RocoV2
from rococap.types import SPLITS, UserError

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.integers(0, 256, (3, 70, 90), dtype=np.uint8)
FILES = {  # how devices and people call them -> the id
    "plain.dcm": "plain",
    "IM0001": "IM0001",
    "1.2.840.113619.2.55.3": "1.2.840.113619.2.55.3",
    "UPPER.DCM": "UPPER",
}


def copy_of(root, packed, **tags):
    """Each split has all of the files, of three frames each; and some that are no pictures, or say nothing of it."""
    content = written(dataset(VALUES, frames=3, **tags))
    others = {"notes": b"no picture", "DICOMDIR": content, ".hidden": content, "12": b"", "table.json": content}
    for split in SPLITS:
        with (root / f"{split}_captions.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["ID", "Caption"], *([name, f"Caption of {name}."] for name in FILES.values())])
        everything = dict.fromkeys(FILES, content) | others
        if packed:
            with zipfile.ZipFile(root / f"{split}_images.zip", "w") as archive:
                for name, held in everything.items():
                    archive.writestr(f"{split}/{name}", held)
        else:
            (root / split).mkdir()
            for name, held in everything.items():
                (root / split / name).write_bytes(held)
    return str(root)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_files_with_and_without_suffix_are_found(packed, tmp_path):
    source = RocoV2(copy_of(tmp_path, packed))
    for split in SPLITS:
        assert [example.id for example in source.examples(split)] == list(FILES.values())
        assert source.problems(split) == {}
        for example in source.examples(split):
            assert np.array_equal(np.asarray(read(example.image))[..., 0], VALUES[0])


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_the_middle_frame_is_another_dataset(packed, tmp_path):
    root = copy_of(tmp_path, packed)
    source = RocoV2(root, dicom_frame="middle")
    assert np.array_equal(np.asarray(read(source.examples("test")[2].image))[..., 0], VALUES[1])
    assert source.fingerprint() != RocoV2(root).fingerprint() == RocoV2(root).fingerprint()
    with pytest.raises(UserError, match="choose first or middle"):
        RocoV2(root, dicom_frame="last")


def test_names_in_the_pixels_are_left_out_and_named_or_allowed(tmp_path, caplog):
    root = copy_of(tmp_path, False, BurnedInAnnotation="YES")
    source = RocoV2(root)
    store = open_images(source.examples("train"), Words(), source.fingerprint(), "train")
    assert store.examples == [] and set(store.unreadable) == set(FILES.values())
    assert "drawn into its pixels" in caplog.text and SECRET not in caplog.text
    allowed = RocoV2(root, burned_in=True)
    assert len(open_images(allowed.examples("train"), Words(), allowed.fingerprint(), "train").examples) == len(FILES)


def test_the_doctor_knows_them_and_names_those_without_a_window(tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    copy_of(root, False)
    deep = RANDOM.integers(0, 4096, (70, 90), dtype=np.uint16)
    (root / "train" / "plain.dcm").write_bytes(written(dataset(deep, 12)))
    (root / "train" / "IM0001").write_bytes(written(dataset(deep, 12, WindowCenter=2048, WindowWidth=4096)))
    found = examine(RocoV2(str(root)), tokens=None).splits["train"]
    assert set(found.looks.rows["format"].tolist()) == {b"DICOM"}
    [(what, names)] = found.odd.items()
    assert names == ["plain"] and "between two percentiles" in what
    assert np.array_equal(np.asarray(read(RocoV2(str(root)).examples("train")[1].image))[..., 0], scaled(deep, 0, 4095))


def test_a_missing_package_ends_it_with_the_line_that_installs_it(tmp_path, monkeypatch):
    source = RocoV2(copy_of(tmp_path, False))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(UserError, match=r'pip install -c constraints.txt -e "\.\[dicom\]"'):
        open_images(source.examples("train"), Words(), source.fingerprint(), "train")


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_own_tables_name_them_too(packed, tmp_path):
    copy_of(tmp_path, packed)
    paths = [f"train/{name}" for name in FILES]
    files = ImageFiles(tmp_path)
    for path in paths:
        image = files.find(path)
        assert image is not None and np.array_equal(np.asarray(read(image))[..., 0], VALUES[0]), path
    names = [path.name for path, _ in files.below()]
    assert sorted(set(names)) == sorted(FILES)


@pytest.mark.parametrize("frame", [0, 1])
def test_of_ones_own_files_the_middle_frame_too(frame, tmp_path):
    names = [f"1.2.840.{number}" for number in range(12)]
    for name in names:
        (tmp_path / name).write_bytes(written(dataset(VALUES, frames=3, BurnedInAnnotation="YES")))
        (tmp_path / f"{name}.txt").write_text(f"Caption of {name}.", encoding="utf-8")
    settings = dict(columns=None, valid=0.2, test=0.2, seed=0, burned_in=True)
    source = Folder(str(tmp_path), **settings, dicom_frame=("first", "middle")[frame])
    examples = [example for split in SPLITS for example in source.examples(split)]
    assert sorted(example.id for example in examples) == sorted(names)
    assert all(example.captions == (f"Caption of {example.id}.",) for example in examples)
    assert all(np.array_equal(np.asarray(read(example.image))[..., 0], VALUES[frame]) for example in examples)


@pytest.mark.parametrize("frame", ["first", "middle"])
def test_of_reports_too(frame, tmp_path):
    for n in range(1, 21):
        (tmp_path / f"{n}.xml").write_text(XML.format(n=n, findings="Clear."))
        name = f"CXR{n}_1_IM-000{n}-1001.dcm"
        (tmp_path / name).write_bytes(written(dataset(VALUES, frames=3, BurnedInAnnotation="YES")))
    source = IuXray(str(tmp_path), **IU, dicom_frame=frame, burned_in=True)
    for example in source.examples("test"):
        assert np.array_equal(np.asarray(read(example.image))[..., 0], VALUES[int(frame == "middle")])
    with pytest.raises(UnreadableImage, match="drawn into its pixels"):
        read(IuXray(str(tmp_path), **IU).examples("test")[0].image)
