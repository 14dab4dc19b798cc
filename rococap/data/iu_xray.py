"""Indiana University's chest X-rays, as Open-i gives them (XML reports) or as Kaggle does (two tables).

Demner-Fushman et al. (2016): Preparing a collection of radiology examinations for distribution and retrieval. Journal
of the American Medical Informatics Association 23(2). https://doi.org/10.1093/jamia/ocv080
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from rococap.data.delimited import named_cells
from rococap.data.image_files import ImageFiles
from rococap.data.lines import BAD_LINES, Line
from rococap.data.own import OwnData
from rococap.data.pictures.dicom import View
from rococap.data.places import Odd
from rococap.data.reports import caption
from rococap.types import UserError

_REPORTS, _IMAGES = "indiana_reports.csv", "indiana_projections.csv"
_HOW_TO_GET = """\
IU X-Ray is not there: {root} holds neither reports as XML nor {reports}.
  from Open-i: unpack NLMCXR_png.tgz and NLMCXR_reports.tgz of https://openi.nlm.nih.gov/faq there
  from Kaggle: unpack raddar/chest-xrays-indiana-university there"""


class IuXray(OwnData):
    """The images below `root`, with sections of their reports; those of one report are one group.

    Args:
        sections: of a report, which make its images' caption: findings, impression, indication, comparison.
        valid, test: shares of the images: there are no official splits.
        seed: of which reports these are.
        dicom_frame, burned_in: see `SplitSource`; Open-i has the images as DICOM files too.
    """

    def __init__(
        self,
        root: str | None,
        sections: Sequence[str],
        valid: float,
        test: float,
        seed: int,
        dicom_frame: str = "first",
        burned_in: bool = False,
    ) -> None:
        super().__init__(root, {"test": test, "valid": valid}, seed)
        self.sections = sections
        self.view = View(dicom_frame, burned_in)

    def lines(self) -> tuple[list[Line], Odd]:
        """Of the tables where they are there, else of the XML reports; raises UserError where there is neither."""
        images, bad = ImageFiles(self.place), list[str]()
        if table := next(self.place.rglob(_REPORTS), None):
            said, bad = self._tabled(table)
        else:
            said = [each for file in _numbered(self.place.rglob("*.xml")) for each in self._xml(file)]
        if not said:
            raise UserError(_HOW_TO_GET.format(root=self.place, reports=_REPORTS))
        lines = [Line(name, images.find(name), text, group=report) for name, report, text in said]
        return lines, {BAD_LINES: bad, **images.odd}

    def _tabled(self, table: Path) -> tuple[list[tuple[str, str, tuple[str, ...]]], list[str]]:
        reports, unread = named_cells(table, "uid")
        found, unread_images = named_cells(table.with_name(_IMAGES), "uid", "filename")
        texts = {report["uid"]: caption(report, self.sections) for report in reports}
        said = [(image["filename"], image["uid"], texts.get(image["uid"], ())) for image in found]
        bad = [f"{_REPORTS} {line}" for line in unread] + [f"{_IMAGES} {line}" for line in unread_images]
        return said, bad

    def _xml(self, file: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        try:
            report = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, OSError) as error:
            raise UserError(f"{file} is no report ({error}).\nUnpack NLMCXR_reports.tgz again.") from error
        found = {text.get("Label", "").lower(): text.text or "" for text in report.iter("AbstractText")}
        for image in report.iter("parentImage"):
            yield image.get("id", ""), f"CXR{file.stem}", caption(found, self.sections)


def _numbered(files: Iterator[Path]) -> list[Path]:
    """`2.xml` before `10.xml`."""
    return sorted(files, key=lambda file: (len(file.stem), file.stem))
