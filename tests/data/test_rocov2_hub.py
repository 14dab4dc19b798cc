"""Parquet files in the mirror's form, made of drawn images."""

from __future__ import annotations

import io
import logging
import pickle
import sys
from pathlib import Path

import pytest
from drawn import zenodo

from rococap.data.image import UnreadableImage, read
from rococap.data.rocov2 import RocoV2
from rococap.data.rocov2_hub import MIRROR, RocoV2Hub
from rococap.types import SPLITS, Concept, UserError

datasets = pytest.importorskip("datasets")
FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        "image_id": datasets.Value("string"),
        "caption": datasets.Value("string"),
        "cui": datasets.List(datasets.Value("string")),
    }
)


@pytest.fixture(autouse=True)
def hub_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")


def rows_of(split: str, count: int = 6) -> list[dict]:
    rows = []
    for example in RocoV2(str(zenodo())).examples(split)[:count]:
        buffer = io.BytesIO()
        read(example.image).save(buffer, "PNG")
        cuis = [concept.cui for concept in example.concepts if concept.manual] or ["nan"]
        image = {"bytes": buffer.getvalue(), "path": f"{example.id}.png"}
        rows.append({"image": image, "image_id": example.id, "caption": f" {example.captions[0]} ", "cui": cuis})
    return rows


def write(folder: Path, split: str, rows: list[dict]) -> None:
    folder.mkdir(exist_ok=True)
    name = {"valid": "validation"}.get(split, split)
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        dataset = datasets.Dataset.from_list(part, features=FEATURES)
        dataset.to_parquet(folder / f"{name}-0000{number}-of-00002.parquet")


@pytest.mark.parametrize("place", [".", "data"])
def test_the_mirrors_rows_are_those_of_the_original(place, tmp_path):
    for split in SPLITS:
        write(tmp_path / place, split, rows_of(split))
    source = RocoV2Hub(str(tmp_path))
    for split in SPLITS:
        for mirrored, original in zip(source.examples(split), RocoV2(str(zenodo())).examples(split)[:6], strict=True):
            assert (mirrored.id, mirrored.captions) == (original.id, original.captions)
            assert [c.cui for c in mirrored.concepts] == [c.cui for c in original.concepts if c.manual]
            assert read(mirrored.image).tobytes() == read(original.image).tobytes()
            assert read(pickle.loads(pickle.dumps(mirrored.image))).size == read(original.image).size
    first = source.fingerprint()
    assert RocoV2Hub(str(tmp_path)).fingerprint() == first
    changed = rows_of("test")
    changed[0]["image"] = changed[1]["image"]
    write(tmp_path / place, "test", changed)
    assert RocoV2Hub(str(tmp_path)).fingerprint() != first


def test_odd_rows_are_counted_and_named(tmp_path, caplog):
    rows = rows_of("valid")
    rows[1]["caption"] = " \u00a0"
    rows[2]["image_id"] = rows[0]["image_id"]
    rows[3]["image"] = None
    rows[4]["cui"] = ["C1", "nan"]
    write(tmp_path, "valid", rows)
    with caplog.at_level(logging.WARNING):
        examples = RocoV2Hub(str(tmp_path)).examples("valid")
    assert [example.id for example in examples] == [rows[number]["image_id"] for number in (0, 3, 4, 5)]
    assert f"valid: 1 captions are empty; left out (first: {rows[1]['image_id']})" in caplog.messages
    assert f"valid: 1 rows repeat an id; the first of each is kept (first: {rows[0]['image_id']})" in caplog.messages
    assert examples[2].concepts == (Concept("C1", manual=True),)
    with pytest.raises(UnreadableImage, match=rows[3]["image_id"]):
        read(examples[1].image)


def test_errors_say_what_to_do(tmp_path, monkeypatch):
    def message(root: Path | None) -> str:
        with pytest.raises(UserError) as error:
            RocoV2Hub(str(root) if root else None).examples("valid")
        return str(error.value)

    assert "validation-*.parquet" in message(tmp_path)
    (tmp_path / "validation-0.parquet").write_bytes(b"PAR1 and no more")
    assert str(tmp_path) in message(tmp_path)
    datasets.Dataset.from_list([{"image_id": "x", "text": "y"}]).to_parquet(tmp_path / "validation-0.parquet")
    assert "no column 'image'" in message(tmp_path)
    (tmp_path / "validation-0.parquet").rename(tmp_path / "validation-00000-of-00003.parquet")
    assert "2 of 3 files of validation are missing: validation-00001-of-00003, " in message(tmp_path)
    with pytest.raises(UserError, match="no split"):
        RocoV2Hub(None).examples("dev")
    with monkeypatch.context() as patch:
        patch.setattr("datasets.config.HF_HUB_OFFLINE", True)
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert MIRROR in message(None) and "data.root=DIR" in message(None)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "datasets", None)
        assert 'pip install -e ".[hub]"' in message(None)


@pytest.mark.parametrize("written", ["C1;C2", "C1|C2", "['C1', 'C2']", ["C1", "C2"]])
def test_concepts_in_one_text_are_no_letters(written, tmp_path):
    rows = [{**row, "cui": written, "image_id": number} for number, row in enumerate(rows_of("test", 3))]
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    table.to_parquet(tmp_path / "test-00000-of-00001.parquet")
    examples = RocoV2Hub(str(tmp_path)).examples("test")
    assert [example.id for example in examples] == ["0", "1", "2"]
    assert {tuple(concept.cui for concept in example.concepts) for example in examples} == {("C1", "C2")}


def test_without_concepts_there_are_captions(tmp_path):
    rows = [{key: row[key] for key in ("image", "image_id", "caption")} for row in rows_of("test", 3)]
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    table.to_parquet(tmp_path / "test-00000-of-00001.parquet")
    source = RocoV2Hub(str(tmp_path))
    assert [example.concepts for example in source.examples("test")] == [()] * 3
    assert "rows have no concepts, for there is no column cui" in source.problems("test")
