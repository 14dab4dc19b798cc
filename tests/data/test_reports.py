"""Chest radiographs with reports, in made-up copies of what Open-i, Kaggle and PhysioNet distribute."""

from __future__ import annotations

import csv
import gzip
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from rococap.data.image import read
from rococap.data.iu_xray import IuXray
from rococap.data.mimic_cxr import MimicCxr
from rococap.data.reports import sections
from rococap.types import SPLITS, UserError

IU = {"sections": ["findings", "impression"], "valid": 0.1, "test": 0.2, "seed": 0}
STUDIES = 20  # with two images each

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{n}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION"/>
<AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">No acute  disease &amp; no {n}.</AbstractText>
</Abstract></Article></MedlineCitation>
<parentImage id="CXR{n}_1_IM-000{n}-1001"/><parentImage id="CXR{n}_1_IM-000{n}-2001"/></eCitation>"""

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with cough // ?pneumonia

 FINDINGS: \n \n The lungs are clear: no focal
 consolidation.

 IMPRESSION:

 No acute process {n}.
"""


def picture(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (20, 30), shade).save(path)


def write(file: Path, rows: list[dict[str, object]]) -> None:
    with (gzip.open if file.suffix == ".gz" else open)(file, "wt", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def open_i(root: Path) -> Path:
    for n in range(1, STUDIES + 1):
        file = root / "ecgen-radiology" / f"{n}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(XML.format(n=n, findings="" if n == 3 else f"The lungs of {n} are clear."))
        for view in (1, 2):
            picture(root / "NLMCXR_png" / f"CXR{n}_1_IM-000{n}-{view}001.png", n)
    return root


def kaggle(root: Path) -> Path:
    reports, images = [], []
    for n in range(1, STUDIES + 1):
        findings = "" if n == 3 else f"The lungs of {n} are clear."
        impression = f"No acute  disease & no {n}."
        reports.append({"uid": n, "MeSH": "normal", "findings": findings, "impression": impression})
        for view, said in enumerate(("Frontal", "Lateral"), start=1):
            images.append({"uid": n, "filename": f"{n}_IM-000{n}-{view}001.dcm.png", "projection": said})
            picture(root / "images" / "images_normalized" / images[-1]["filename"], n)
    write(root / "indiana_reports.csv", reports)
    write(root / "indiana_projections.csv", images)
    return root


def mimic(root: Path) -> Path:
    rows, views = [], []
    for n in range(12):
        patient, study = f"100000{n // 2:02}", f"500000{n:02}"
        folder = root / "files" / "p10" / f"p{patient}"
        for view in ("PA", "LATERAL"):
            name = f"{n:08x}-{view.lower()}"
            picture(folder / f"s{study}" / f"{name}.jpg", 10 * n)
            split = "test" if n > 9 else "validate" if n > 7 else "train"
            rows.append({"dicom_id": name, "study_id": study, "subject_id": patient, "split": split})
            views.append({"dicom_id": name, "ViewPosition": view})
        (folder / f"s{study}.txt").write_text(REPORT.format(n=n))
    write(root / "mimic-cxr-2.0.0-split.csv.gz", rows)
    write(root / "mimic-cxr-2.0.0-metadata.csv.gz", views)
    return root


@pytest.mark.parametrize(("made", "group"), [(open_i, "CXR{}"), (kaggle, "{}")])
def test_iu_xray_as_it_is_distributed(made, group, tmp_path):
    source = IuXray(str(made(tmp_path)), **IU)
    found = {example.id: (split, example) for split in SPLITS for example in source.examples(split)}
    assert Counter(split for split, _ in found.values()) == {"train": 28, "valid": 4, "test": 8}
    for n in range(1, STUDIES + 1):
        both = [(split, e) for split, e in found.values() if e.group == group.format(n)]
        assert len(both) == 2 and both[0][0] == both[1][0]  # a frontal and a lateral image, in one split
        findings = "" if n == 3 else f"The lungs of {n} are clear. "
        assert {e.captions for _, e in both} == {(f"{findings}No acute disease & no {n}.",)}
        assert {read(e.image).getpixel((0, 0)) for _, e in both} == {(n, n, n)}
    assert not any(source.problems(split) for split in SPLITS)
    only = IuXray(str(tmp_path), **(IU | {"sections": ["findings"]}))
    left_out = [names for split in SPLITS for what, names in only.problems(split).items() if "empty" in what]
    assert [len(names) for names in left_out] == [2]


def test_mimic_cxr_as_it_is_distributed(tmp_path):
    source = MimicCxr(str(mimic(tmp_path)), ["findings", "impression"], None)
    assert {split: len(source.examples(split)) for split in SPLITS} == {"train": 16, "valid": 4, "test": 4}
    example = source.examples("train")[1]
    assert (example.id, example.group) == ("00000000-lateral", "p10000000")
    assert example.captions == ("The lungs are clear: no focal consolidation. No acute process 0.",)
    assert read(source.examples("test")[0].image).size == (20, 30)
    frontal = MimicCxr(str(tmp_path), ["impression"], ["PA", "AP"])
    assert [e.id for e in frontal.examples("test")] == ["0000000a-pa", "0000000b-pa"]
    assert frontal.examples("test")[1].captions == ("No acute process 11.",)


def test_mimics_reports_may_be_packed_and_its_tables_unpacked(tmp_path):
    whole = MimicCxr(str(mimic(tmp_path / "a")), ["findings"], None)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with zipfile.ZipFile(tmp_path / "b" / "mimic-cxr-reports.zip", "w") as archive:
        for file in sorted((tmp_path / "b").rglob("s*.txt")):
            archive.write(file, f"mimic-cxr-reports/{file.relative_to(tmp_path / 'b')}")
            file.unlink()
    packed = tmp_path / "b" / "mimic-cxr-2.0.0-split.csv.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert MimicCxr(str(tmp_path / "b"), ["findings"], None).fingerprint() == whole.fingerprint()


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(UserError, match="from Open-i: unpack"):
        IuXray(str(tmp_path), **IU).examples("train")
    with pytest.raises(UserError, match=r"has no mimic-cxr-2\.0\.0-split\.csv, packed"):
        MimicCxr(str(tmp_path), ["findings"], None).examples("train")
    mimic(tmp_path)
    for file in (tmp_path / "files" / "p10" / "p10000005").rglob("*.jpg"):
        file.unlink()
    source = MimicCxr(str(tmp_path), ["findings"], None)
    with pytest.raises(UserError, match="has no images of test: none of its 4 ids has one"):
        source.examples("test")
    assert not source.problems("train") and not source.has("test")


def test_a_column_that_is_not_there_is_named(tmp_path):
    split = mimic(tmp_path / "mimic") / "mimic-cxr-2.0.0-split.csv.gz"
    split.write_bytes(gzip.compress(b"dicom,study_id,subject_id,split\n1,2,3,train\n"))
    with pytest.raises(
        UserError, match=r"split\.csv\.gz has no column 'dicom_id'; its first line holds dicom, study_id"
    ):
        MimicCxr(str(tmp_path / "mimic"), ["findings"], None).examples("train")
    (tmp_path / "indiana_reports.csv").write_text("uid,findings\n1,clear\n")
    (tmp_path / "indiana_projections.csv").write_text("uid,file\n1,x.png\n")
    with pytest.raises(UserError, match=r"indiana_projections\.csv has no column 'filename'"):
        IuXray(str(tmp_path), **IU).examples("train")


def test_sections_of_a_report():
    report = (
        "FINDINGS AND IMPRESSION:\n Clear.\n\n COMPARISON: ___ at 12:30\n IMPRESSION: one\n two: Three\nWET READ: x"
    )
    assert sections(report) == {
        "findings": "Clear.",
        "comparison": "___ at 12:30",
        "impression": "one two: Three",
        "wet read": "x",
    }
    assert sections("no heading at all") == {}
