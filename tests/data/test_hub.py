"""Any dataset that the package `datasets` reads, made of drawn images."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest

from rococap.data.hub import Hub
from rococap.data.image import read
from rococap.data.phantom.source import Phantom
from rococap.types import SPLITS, UserError

datasets = pytest.importorskip("datasets")
SOURCE = {"columns": None, "valid": 0.2, "test": 0.2, "seed": 0}
DRAWN = Phantom(12, 1, 1, seed=0).examples("train")


@pytest.fixture(autouse=True)
def hub_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")


def publish(folder, parts, image="image", caption="text", **more):
    """Parquet files of a split each, `parts` of the drawn images."""
    folder.mkdir()
    for split, part in parts.items():
        rows = []
        for number, example in list(enumerate(DRAWN))[part]:
            example.image.open().save(file := io.BytesIO(), "PNG")
            row = {image: {"bytes": file.getvalue(), "path": None}, caption: example.captions[0]}
            rows.append({**row, **{name: value(number) for name, value in more.items()}})
        table = datasets.Dataset.from_list(rows).cast_column(image, datasets.Image())
        table.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return str(folder)


def test_its_own_splits_and_columns_are_taken(tmp_path):
    parts = {"train": slice(0, 6), "validation": slice(6, 9), "test": slice(9, 12)}
    source = Hub(publish(tmp_path / "a", parts, image="picture", caption="report", subject_id=str), **SOURCE)
    assert {split: len(source.examples(split)) for split in SPLITS} == {"train": 6, "valid": 3, "test": 3}
    example = source.examples("valid")[1]
    assert (example.id, example.captions, example.group) == ("validation_000001", DRAWN[7].captions, "7")
    assert read(example.image).tobytes() == read(DRAWN[7].image).tobytes()
    again = publish(tmp_path / "b", parts, image="picture", caption="report", subject_id=str)
    assert Hub(again, **SOURCE).fingerprint() == source.fingerprint()
    other = publish(tmp_path / "c", parts | {"test": slice(8, 11)}, image="picture", caption="report", subject_id=str)
    assert Hub(other, **SOURCE).fingerprint() != source.fingerprint()


def test_splits_that_are_missing_part_no_patient(tmp_path):
    path = publish(tmp_path / "a", {"train": slice(None)}, patient_id=lambda number: f"p{number // 2}")
    found = [(split, example.group) for split in SPLITS for example in Hub(path, **SOURCE).examples(split)]
    assert len(set(found)) == 6 and len({group for _, group in found}) == 6
    assert Counter(split for split, _ in found) == {"train": 8, "valid": 2, "test": 2}


def test_mistakes_are_named(tmp_path):
    path = publish(tmp_path / "a", {"train": slice(None)}, caption="words")
    with pytest.raises(UserError, match=r"which dataset\? data\.path=NAME"):
        Hub(None, **SOURCE).examples("train")
    with pytest.raises(UserError, match=r"no column is known to hold the captions.*\n.*data\.columns\.caption=NAME"):
        Hub(path, **SOURCE).examples("train")
    given = SOURCE | {"columns": {"caption": "words"}}
    assert len(Hub(path, **given).examples("train")) == 6
    with pytest.raises(UserError, match=r"'words' holds no images; image does"):
        Hub(path, **(SOURCE | {"columns": {"image": "words"}})).examples("train")
    with pytest.raises(UserError, match="could not be read by datasets"):
        Hub(str(tmp_path / "nowhere"), **SOURCE).examples("train")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["00000-of-00003"], r"2 of 3 files of train are missing: train-00001-of-00003, train-00002-of-00003"),
        (["00000-of-00003", "00002-of-00003"], r"1 of 3 files of train are missing: train-00001-of-00003\."),
        (["00000-of-00002", "00001-of-00002", "00000-of-00001"], "two downloads are mixed"),
    ],
)
def test_a_download_that_is_not_whole_is_refused(there, said, tmp_path):
    place = Path(publish(tmp_path / "set", {"train": slice(0, 12)}))
    content = (place / "train-00000-of-00001.parquet").read_bytes()
    (place / "train-00000-of-00001.parquet").unlink()
    for name in there:
        (place / f"train-{name}.parquet").write_bytes(content)
    with pytest.raises(UserError, match=said):
        Hub(str(place), **SOURCE).examples("train")
