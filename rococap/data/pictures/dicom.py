"""DICOM files: one picture of each, as its window shows it. Of what else stands in them nothing leaves this file."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from rococap.data.pictures.deep import SHARES
from rococap.types import UserError

INSTALL = 'pip install -c constraints.txt -e ".[dicom]"'
PREAMBLE = 128  # bytes before the four that say what follows
_WITHOUT = (b"\x02\0", b"\x08\0", b"\0\x08")  # how files without a preamble begin: by the group of their first tag
_GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of DICOM files.

    Attributes:
        frame: of several the `first` or the `middle` one.
        burned_in: whether those are read that say of themselves that names or the like are drawn into their pixels.
    """

    frame: str = "first"
    burned_in: bool = False

    def __post_init__(self) -> None:
        if self.frame not in ("first", "middle"):
            raise UserError(f"Of a DICOM file's frames {self.frame!r} cannot be shown: choose first or middle.")


USUAL = View()


def is_dicom(content: bytes) -> bool:
    """Whether bytes, of which `PREAMBLE` and four are enough, are those of a DICOM file."""
    return content[PREAMBLE : PREAMBLE + 4] == b"DICM"


def may_be_dicom(content: bytes) -> bool:
    """Whether bytes that no other format knows could be those of a DICOM file without a preamble."""
    return content.startswith(_WITHOUT)


@contextmanager
def _without_tags() -> Iterator[None]:
    """What goes wrong, told without the words of the error: they quote tags."""
    try:
        yield
    except (UserError, _Refused, MemoryError):
        raise
    except Exception as error:
        raise _Refused(f"a DICOM file that is damaged, or of a kind that is not read; {type(error).__name__}") from None


class _Refused(ValueError):
    """In words of ours."""


class Dicom(Image.Image):
    """The picture of a DICOM file; it is decoded when it is shown."""

    format = "DICOM"

    def __init__(self, content: bytes, view: View) -> None:
        super().__init__()
        try:
            import pydicom
        except ImportError as error:
            raise UserError(f"DICOM files are read with packages that are not installed.\n{INSTALL}") from error
        logging.getLogger("pydicom").disabled = True  # its warnings quote tags
        with _without_tags():
            self._dataset = pydicom.dcmread(io.BytesIO(content), force=True)
            if not any(name in self._dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
                raise _Refused("a DICOM file without a picture")
            if str(self._dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES" and not view.burned_in:
                raise _Refused(
                    "it says that names or the like are drawn into its pixels; allow that, or remove them first"
                )
            self._mode = "RGB" if self._tag("PhotometricInterpretation") not in _GREY else "L"
            self._size = int(self._dataset.Columns), int(self._dataset.Rows)
            frames = int(self._dataset.get("NumberOfFrames") or 1)
            self._frame = frames // 2 if view.frame == "middle" else 0

    def shown(self) -> tuple[Image.Image, bool]:
        """In 8 bits, L or RGB; and whether percentiles had to stand in for a window."""
        with _without_tags():
            values, photometric = self._decoded()
            if photometric in _GREY:
                eight, windowed = self._grey(values)
                return Image.fromarray(eight), windowed
            if photometric == "PALETTE COLOR":
                from pydicom.pixels import apply_color_lut

                values = apply_color_lut(values, self._dataset)[..., :3]
                top = 255 if values.max() < 256 else 65535
            elif photometric == "RGB" and values.dtype.kind == "u":
                top = 2 ** int(self._dataset.BitsStored) - 1
            else:
                raise _Refused("a DICOM file whose colours are of a kind that is not read")
            return Image.fromarray(_scaled(values, 0, top)), False

    def _tag(self, name: str, default: object = "") -> str:
        return str(self._dataset.get(name, default)).strip().upper()

    def _decoded(self) -> tuple[np.ndarray, str]:
        """The frame as stored, with all YBR made RGB, and its photometric interpretation now."""
        from pydicom.pixels import get_decoder
        from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

        dataset = self._dataset
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        try:
            decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
        except NotImplementedError:
            raise _Refused("a DICOM file compressed in a way that is not read") from None
        if not decoder.is_available:
            raise _Refused(f"a DICOM file whose compression needs packages that are not installed: {INSTALL}")
        values, facts = decoder.as_array(dataset, index=self._frame)
        photometric = str(facts["photometric_interpretation"])
        return (values if photometric == "RGB" or values.dtype.kind == "f" else self._in_use(values)), photometric

    def _in_use(self, values: np.ndarray) -> np.ndarray:
        """Without what lies in the bits beside the stored ones: overlays, or anything."""
        bits = int(self._dataset.BitsStored)
        shift = int(self._dataset.get("HighBit", bits - 1)) + 1 - bits
        stored = values.astype(np.int64) >> shift & (1 << bits) - 1
        if self._dataset.get("PixelRepresentation", 0) == 1:
            stored = np.where(stored >= 1 << bits - 1, stored - (1 << bits), stored)
        return stored

    def _grey(self, values: np.ndarray) -> tuple[np.ndarray, bool]:
        from pydicom.pixels import apply_modality_lut

        padded = self._padding(values)
        self._take_from_frame("PixelValueTransformationSequence", ("RescaleSlope", "RescaleIntercept"))
        self._take_from_frame("FrameVOILUTSequence", ("WindowCenter", "WindowWidth", "VOILUTFunction"))
        real = np.asarray(apply_modality_lut(values, self._dataset))
        eight, windowed = self._by_table(real), False
        if eight is None:
            eight = self._by_window(real)
        if eight is None:
            bits, signed = int(self._dataset.get("BitsStored", 32)), self._dataset.get("PixelRepresentation", 0) == 1
            if bits <= 8 and real is values:
                low = -(1 << bits - 1) if signed else 0
                eight = _scaled(real, low, low + (1 << bits) - 1)
            else:
                eight, windowed = _by_percentiles(real, ~padded & np.isfinite(real)), True
        if self._tag("PhotometricInterpretation") == "MONOCHROME1":
            eight = 255 - eight
        return np.where(padded, 0, eight).astype(np.uint8), windowed

    def _padding(self, values: np.ndarray) -> np.ndarray:
        """Which pixels are no part of the picture. Signed ones may stand there unsigned, and the other way round."""
        if "PixelPaddingValue" not in self._dataset or values.dtype.kind == "f":
            return np.zeros(values.shape, bool)
        first = int(self._dataset.PixelPaddingValue)
        last = int(self._dataset.get("PixelPaddingRangeLimit", first))
        whole = 1 << int(self._dataset.BitsAllocated)
        return (values - min(first, last)) % whole <= abs(last - first)

    def _take_from_frame(self, group: str, names: tuple[str, ...]) -> None:
        """Where a file of many frames says something of each, or of all, take what it says of this one."""
        for groups, number in (
            ("PerFrameFunctionalGroupsSequence", self._frame),
            ("SharedFunctionalGroupsSequence", 0),
        ):
            items = self._dataset.get(groups) or []
            found = items[number].get(group) if number < len(items) else None
            if found:
                for name in names:
                    if name in found[0]:
                        setattr(self._dataset, name, found[0][name].value)
                return

    def _by_table(self, real: np.ndarray) -> np.ndarray | None:
        tables = self._dataset.get("VOILUTSequence")
        if not tables:
            return None
        _, first, bits = (int(number) for number in tables[0].LUTDescriptor)
        data: Any = tables[0].LUTData
        if isinstance(data, bytes):
            data = np.frombuffer(data, "<u2" if self._dataset.original_encoding[1] else ">u2")
        if first > 32767 and real.min() < 0:
            first -= 65536
        table = np.asarray(data).astype(np.int64)
        return _scaled(table[np.clip(np.rint(real).astype(np.int64) - first, 0, len(table) - 1)], 0, (1 << bits) - 1)

    def _by_window(self, real: np.ndarray) -> np.ndarray | None:
        """By the first window, after PS3.3 C.11.2.1.2 and C.11.2.1.3; None where there is none, or a wrong one."""
        center, width = (_first(self._dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
        function = self._tag("VOILUTFunction", "LINEAR") or "LINEAR"
        if center is None or width is None or not width > 0 or (function == "LINEAR" and width < 1):
            return None
        if function == "LINEAR":
            if width == 1:
                return np.where(real > center - 0.5, 255, 0).astype(np.uint8)
            return _scaled(real, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)
        if function == "LINEAR_EXACT":
            return _scaled(real, center - width / 2, center + width / 2)
        if function == "SIGMOID":
            return np.rint(255 / (1 + np.exp(np.clip(-4 * (real - center) / width, -700, 700)))).astype(np.uint8)
        return None


def _first(value: Any) -> float | None:
    """Of one number or several; None where there is none, or it is none."""
    if value is None or value == "" or (not isinstance(value, str) and hasattr(value, "__len__") and not len(value)):
        return None
    number = float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    return number if np.isfinite(number) else None


def _by_percentiles(real: np.ndarray, seen: np.ndarray) -> np.ndarray:
    if not seen.any():
        raise _Refused("a DICOM file without a single pixel that counts")
    low, high = np.quantile(real[seen], SHARES)
    if low == high:
        low, high = real[seen].min(), real[seen].max()
    return _scaled(np.nan_to_num(real, nan=low), low, high)


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    span = high - low
    within = np.clip(values.astype(np.float64), low, high) - low
    return np.rint(within * (255 / span if span else 0.0)).astype(np.uint8)
