"""MIMIC-CXR-JPG with MIMIC-CXR's reports, as PhysioNet gives them.

Johnson et al. (2019): MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs.
arXiv:1901.07042.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from functools import cached_property

from rococap.data.delimited import named_cells
from rococap.data.image import FileImage
from rococap.data.lines import BAD_LINES, Line
from rococap.data.own import OwnData
from rococap.data.places import Odd
from rococap.data.reports import caption, sections
from rococap.types import UserError

_SPLIT, _METADATA = "mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.0.0-metadata.csv"
_REPORTS, _FOLDERS = "mimic-cxr-reports.zip", ("", "mimic-cxr-reports/")
_HOW_TO_GET = """\
MIMIC-CXR-JPG is not there: {root} has no {name}, packed (.gz) or not.
  from https://physionet.org/content/mimic-cxr-jpg: that table and files/; with views also the table of metadata
  from https://physionet.org/content/mimic-cxr: mimic-cxr-reports.zip, beside it; both need an account there"""


class MimicCxr(OwnData):
    """Images in the official split, each with sections of its study's report; those of one patient are one group.

    `root` holds `files/` and the two tables of MIMIC-CXR-JPG, packed or not, and MIMIC-CXR's reports beside them,
    packed (`mimic-cxr-reports.zip`) or unpacked into the same `files/`.

    Args:
        sections: of a report, which make its images' caption: findings, impression and others.
        views: of which projections an image may be, such as PA and AP; null: of any.
    """

    def __init__(self, root: str | None, sections: Sequence[str], views: Sequence[str] | None) -> None:
        super().__init__(root, {}, seed=0)
        self.sections, self.views = sections, views

    def lines(self) -> tuple[list[Line], Odd]:
        """In the split's order; raises UserError where a table or the reports are missing."""
        images, bad_lines = self._table(_SPLIT, "dicom_id", "study_id", "subject_id", "split")
        views = self._views() if self.views is not None else None
        lines, texts = [], dict[str, tuple[str, ...]]()
        for image in images:
            if views is not None and views.get(image["dicom_id"]) not in (self.views or ()):
                continue
            patient, study = f"p{image['subject_id']}", f"s{image['study_id']}"
            folder = f"files/{patient[:3]}/{patient}"
            if study not in texts:
                texts[study] = caption(sections(self._report(f"{folder}/{study}.txt")), self.sections)
            file = self.place / folder / study / f"{image['dicom_id']}.jpg"
            there = FileImage(file) if file.is_file() else None
            lines.append(Line(image["dicom_id"], there, texts[study], image["split"], patient))
        return lines, {BAD_LINES: bad_lines}

    def _table(self, name: str, *needed: str) -> tuple[list[dict[str, str]], list[str]]:
        file = next((path for end in ("", ".gz") if (path := self.place / f"{name}{end}").is_file()), None)
        if file is None:
            raise UserError(_HOW_TO_GET.format(root=self.place, name=name))
        return named_cells(file, *needed)

    def _views(self) -> dict[str, str]:
        images, _ = self._table(_METADATA, "dicom_id", "ViewPosition")
        return {image["dicom_id"]: image["ViewPosition"] for image in images}

    def _report(self, name: str) -> str:
        """A study's report; empty where there is none."""
        for folder in _FOLDERS:
            if (file := self.place / folder / name).is_file():
                return file.read_text(encoding="utf-8", errors="replace")
            if self._packed is not None and (member := f"{folder}{name}") in self._packed.NameToInfo:
                return self._packed.read(member).decode("utf-8", "replace")
        return ""

    @cached_property
    def _packed(self) -> zipfile.ZipFile | None:
        file = self.place / _REPORTS
        try:
            return zipfile.ZipFile(file) if file.is_file() else None
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{file} cannot be read ({error}).\nDownload it again.") from error
