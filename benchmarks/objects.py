"""The object that is sent: a small CT that every receiver can read."""

from __future__ import annotations

import io
import math
import struct

import pydicom
from pydicom.dataset import Dataset

from benchmarks.messages import CT_IMAGE_STORAGE, instance_uid

__all__ = ["ct_dataset"]

_RAMP = b"".join(struct.pack("<H", value) for value in range(4096))


def ct_dataset(size: int) -> bytes:
    """Return a CT of about `size` bytes in Explicit VR Little Endian: object number 0."""
    image = _ct()
    room = max(size - len(_encode(image)), 2)
    side = max(math.isqrt(room // 2), 1)
    image.Rows = image.Columns = side
    pixels = 2 * side * side
    image.PixelData = (_RAMP * (pixels // len(_RAMP) + 1))[:pixels]
    image["PixelData"].VR = "OW"
    data = _encode(image)
    if data.count(instance_uid(0)) != 1:
        raise ValueError("the SOP Instance UID does not stand in the dataset exactly once")
    return data


def _encode(image: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, image, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def _ct() -> Dataset:
    """Return the attributes that PS3.3 A.3 wants of a CT image, without its pixels."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SOPClassUID = CT_IMAGE_STORAGE
    image.SOPInstanceUID = instance_uid(0).decode()
    image.StudyDate = image.SeriesDate = image.ContentDate = "20240131"
    image.StudyTime = image.ContentTime = "101530"
    image.AccessionNumber = "A0001"
    image.Modality = "CT"
    image.Manufacturer = "Load"
    image.ReferringPhysicianName = "Doctor^Some"
    image.StudyDescription = "Benchmark"
    image.PatientName = "Doe^Jane"
    image.PatientID = "P0001"
    image.PatientBirthDate = "19700101"
    image.PatientSex = "O"
    image.SliceThickness = "1.25"
    image.KVP = "120"
    image.PatientPosition = "HFS"
    image.StudyInstanceUID = "2.25.40532178611438298333020178471371748401"
    image.SeriesInstanceUID = "2.25.40532178611438298333020178471371748402"
    image.FrameOfReferenceUID = "2.25.40532178611438298333020178471371748403"
    image.PositionReferenceIndicator = ""
    image.StudyID = "1"
    image.SeriesNumber = image.AcquisitionNumber = image.InstanceNumber = "1"
    image.ImagePositionPatient = ["-125", "-125", "0"]
    image.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = image.Columns = 1
    image.PixelSpacing = ["0.5", "0.5"]
    image.BitsAllocated = 16
    image.BitsStored = 12
    image.HighBit = 11
    image.PixelRepresentation = 0
    image.RescaleIntercept = "-1024"
    image.RescaleSlope = "1"
    return image
