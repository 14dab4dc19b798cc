"""DICOM files that are refused, or would be but for a word: told without a tag."""

import logging

import numpy as np
import pytest
from made_dicom import SECRET, dataset, written
from making import scaled

from rococap.data.image import BytesImage, UnreadableImage, read
from rococap.data.pictures.decode import decode, show
from rococap.data.pictures.dicom import View
from rococap.types import UserError

STORED = np.random.default_rng(0).integers(0, 4096, (9, 14), dtype=np.uint16)


def refusals():
    with_names = dataset(STORED, 12, BurnedInAnnotation="YES")
    yield "drawn into its pixels", written(with_names)
    without = dataset(STORED, 12)
    del without.PixelData
    yield "without a picture", written(without)
    yield "damaged", written(dataset(STORED, 12))[:-40]
    yield "of a kind that is not read", written(dataset(STORED, 12, PhotometricInterpretation="HSV"))
    ink = dataset(STORED, 12)
    ink.StudyInstanceUID = "no UID " + SECRET
    ink.WindowWidth = ink.WindowCenter = None
    del ink.Rows
    yield "damaged", written(ink)
    strange = written(dataset(STORED, 12)).replace(b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.9")
    yield "DICOM file", strange


@pytest.mark.parametrize("number", range(6))
def test_what_is_refused_is_told_without_a_tag(number, caplog, capfd, recwarn):
    reason, content = list(refusals())[number]
    recwarn.clear()  # of what made the files
    with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableImage, match=reason) as caught:
        read(BytesImage(content, "x.dcm"))
    told = [str(caught.value), caplog.text, *capfd.readouterr(), *(str(warning.message) for warning in recwarn)]
    assert [text for text in told if SECRET in text] == []


@pytest.mark.parametrize("says", ["YES", "NO", " yes"])
def test_names_in_the_pixels_are_read_where_that_is_allowed(says):
    view = View(burned_in=says != "NO")
    content = written(dataset(STORED, 12, WindowCenter=2048, WindowWidth=4096, BurnedInAnnotation=says))
    assert np.array_equal(np.asarray(show(decode(content, view)).pixels)[..., 0], scaled(STORED, 0, 4095))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(UserError, match=r'pip install -c constraints.txt -e "\.\[dicom\]"') as caught:
        read(BytesImage(b"\0" * 128 + b"DICM", "x.dcm"))
    assert not isinstance(caught.value, UnreadableImage)


def test_another_frame_is_none():
    with pytest.raises(UserError, match="choose first or middle"):
        View("last")
