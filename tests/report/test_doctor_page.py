"""What the doctor found, as people and programs read it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dirty import Copy, dirty

from rococap.data.doctor.examination import Examination, examine
from rococap.data.phantom.source import Phantom
from rococap.data.rocov2 import RocoV2
from rococap.report.doctor import doctors_page
from rococap.report.doctor_summary import as_json, count_licences, findings, overview, spread
from rococap.types import Example


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Examination:
    folder = tmp_path_factory.mktemp("dirty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROCOCAP_CACHE", str(folder / "cache"))
        return examine(RocoV2(str(dirty(folder / "data"))), len)


def test_leaks_come_first_and_loudly(found):
    said = findings(found)
    assert [finding.level for finding in said] == sorted((f.level for f in said), reverse=True)
    texts = [finding.text for finding in said]
    assert (
        texts[0]
        == "LEAK: 4 of 14 test images also stand in train; data.drop_leaks=true leaves 4 images out of training"
    )
    assert texts[1].startswith("LEAK: 1 of 16 valid images also stand in train")
    assert texts[2] == "LEAK: 1 of 14 test images also stand in valid; the best checkpoint would be chosen on them"
    assert "train: 2 images cannot be read; no run uses them (truncated, empty)" in texts
    assert any(
        text.startswith("train: 10,001 lines") and "(line 53, " in text and text.endswith(", ...)") for text in texts
    )
    assert max(map(len, texts)) < 200


def test_the_table_has_a_column_for_each_split(found):
    header, rows = overview(found)
    assert header == ["", "train", "valid", "test"] and {len(row) for row in rows} == {4}
    train, valid, test = (found.splits[split] for split in ("train", "valid", "test"))
    assert rows[0] == ["images", *(str(len(e.examples)) for e in (train, valid, test))]
    assert rows[1] == ["readable", str(len(train.examples) - 2), str(len(valid.examples) - 1), str(len(test.examples))]
    assert spread(np.arange(1, 101)) == "50, 95, 100" and spread(np.array([])) == "no captions"


def test_the_report_for_programs_holds_every_id(found):
    report = json.loads(json.dumps(as_json(found)))
    train = report["splits"]["train"]
    assert set(train["unreadable"]) == {"truncated", "empty"}
    assert {len(names) for names in train["problems"].values()} == {1, 10_001}
    assert set(report["leaks"]["train and test"]) == {"leak_same", "leak_jpeg", "leak_half", "leak_bright"}
    assert len(report["copies"]) == 7 and report["fingerprint"] == found.fingerprint
    assert sum(train["modes"].values()) == train["readable"] == train["images"] - 2
    assert sum(train["licences"].values()) == train["images"] and train["licences"]["none named"] >= 1
    assert train["words"]["least"] <= train["words"]["median"] <= train["words"]["most"]
    assert {entry["caption"] for entry in report["repeated_captions"]} == set(found.repeated)


def test_the_page_shows_pictures_and_stays_small(found):
    page = doctors_page(found, "the folder <data>")
    for heading in ("Findings", "Leaks: one image in several splits", "Odd images", "Left out", "Captions", "Licences"):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<img") == 2 * 7 + 2  # pairs, and the two odd ones
    assert "the folder &lt;data&gt;" in page
    assert page.count("line 5") < 20 and "9,989 more in report.json" in page


def test_a_clean_copy_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    found = examine(RocoV2(str(Copy(6).write(tmp_path / "data"))), None)
    assert findings(found) == []
    page = doctors_page(found, "data")
    assert "Nothing is wrong." in page and "Leaks" not in page and "tokens a caption" not in page


def test_any_dataset_has_a_page(tmp_path, monkeypatch):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    page = doctors_page(examine(Phantom(train=20, valid=4, test=4, seed=0), len), "phantom")
    assert "Ultrasonography C0041618" in page and "tokens a caption" in page


def test_licences_are_told_apart():
    said = ["CC BY [Someone et al. (2022)]", "CC-BY-NC-SA, x", "cc by-nc-nd 4.0", "CC0", "All rights reserved", ""]
    counted = count_licences([Example(str(n), None, (), attribution=text) for n, text in enumerate(said)])
    assert counted == {"CC BY": 1, "CC BY-NC-SA": 1, "CC BY-NC-ND": 1, "CC0": 1, "none named": 2}
