"""DICOM files, made of values and tags."""

import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

SECRET = "Doe^Jane"  # what must be told nowhere


def dataset(values, bits=None, colours=1, frames=None, **tags):
    """A DICOM picture of values [height, width], with [colours] behind or [frames] before, and the tags of one."""
    values = np.asarray(values)
    made = Dataset()
    made.PatientName, made.PatientID, made.StudyDescription = SECRET, SECRET, SECRET
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    made.Rows, made.Columns = values.shape[1:3] if frames else values.shape[:2]
    if frames:
        made.NumberOfFrames = frames
    made.SamplesPerPixel = colours
    made.PhotometricInterpretation = "RGB" if colours == 3 else "MONOCHROME2"
    made.BitsAllocated = 8 * values.dtype.itemsize
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    if colours == 3:
        made.PlanarConfiguration = 0
    made.add_new("PixelData", "OB" if values.dtype.itemsize == 1 else "OW", b"")
    made.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def written(made, syntax=ExplicitVRLittleEndian, preamble=True):
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, "1.2.3"
    file = io.BytesIO()
    if preamble:
        pydicom.dcmwrite(file, made, enforce_file_format=True)
    else:
        made.file_meta = FileMetaDataset()
        made.save_as(file, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    return file.getvalue()


def item(**tags):
    made = Dataset()
    for name, value in tags.items():
        setattr(made, name, value)
    return made
