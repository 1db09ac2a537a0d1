"""The object that is sent: a small CT that every receiver can read."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from benchmarks.messages import CT_IMAGE_STORAGE, instance_uid

__all__ = ["PIXEL_DATA", "ct_dataset", "write_ct"]

PIXEL_DATA = b"\xe0\x7f\x10\x00OW\0\0"
"""The head of (7FE0,0010) up to its length."""

_RAMP = b"".join(struct.pack("<H", value) for value in range(4096))
_CHUNK = _RAMP * 128


def write_ct(path: Path, size: int) -> None:
    """Write a CT of about `size` bytes in Explicit VR Little Endian: object number 0."""
    head, pixels = _head(size)
    with path.open("wb") as file:
        file.write(head)
        for start in range(0, pixels, len(_CHUNK)):
            file.write(_CHUNK[: pixels - start])


def ct_dataset(size: int) -> bytes:
    """Return what `write_ct` writes."""
    head, pixels = _head(size)
    return head + (_RAMP * (pixels // len(_RAMP) + 1))[:pixels]


def _head(size: int) -> tuple[bytes, int]:
    """Return the dataset up to its pixels, and how many bytes these have."""
    image = _ct()
    image.PixelData = b""
    image["PixelData"].VR = "OW"
    side = max(math.isqrt(max(size - len(_encode(image)), 2) // 2), 1)
    image.Rows = image.Columns = side
    head, pixels = _encode(image), 2 * side * side
    if head.count(instance_uid(0)) != 1:
        raise ValueError("the SOP Instance UID does not stand in the dataset exactly once")
    return head[:-4] + struct.pack("<I", pixels), pixels


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
