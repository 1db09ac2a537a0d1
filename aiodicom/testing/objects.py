"""Small objects for tests: valid as far as their sender says, and nobody's.

Each function makes a `pydicom.FileDataset` in Explicit VR Little Endian: with File Meta
Information, what its IOD asks for (PS3.3), new UIDs, and no word about a patient. Keywords are
attributes by their names in PS3.6, and replace or complete those::

    objects.ct_image(PatientID="TEST", StudyInstanceUID=study)
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

__all__ = ["ct_image", "encode", "mr_image", "report", "secondary_capture", "study"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"

_SIDE = 16  # rows and columns

_WHEN = {"StudyDate": "20200101", "StudyTime": "120000"}

_MANY_AND_UNKNOWN = (
    "PatientName PatientID PatientBirthDate PatientSex ReferringPhysicianName AccessionNumber "
    "StudyID Manufacturer SeriesNumber"
).split()
"""Attributes of type 2: they are there, and may be empty (PS3.5 7.4.3)."""


def ct_image(**attributes: object) -> FileDataset:
    """Make a CT image of 16 by 16 pixels (PS3.3 A.3)."""
    own = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "KVP": "120",
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
    }
    return _made(CT_IMAGE, "CT", {**_plane(), **_pixels(12), **own, **attributes})


def mr_image(**attributes: object) -> FileDataset:
    """Make an MR image of 16 by 16 pixels (PS3.3 A.4)."""
    own = {
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": None,
        "MRAcquisitionType": "2D",
        "EchoTime": "20",
        "RepetitionTime": "500",
        "EchoTrainLength": "1",
    }
    return _made(MR_IMAGE, "MR", {**_plane(), **_pixels(12), **own, **attributes})


def secondary_capture(**attributes: object) -> FileDataset:
    """Make a secondary capture of 16 by 16 grey pixels (PS3.3 A.8)."""
    own = {"ConversionType": "SYN", "PatientOrientation": None, "BurnedInAnnotation": "NO"}
    return _made(SECONDARY_CAPTURE, "OT", {**_pixels(8), **own, **attributes})


def report(text: str = "Nothing to report.", **attributes: object) -> FileDataset:
    """Make a basic text SR of one sentence: a small object without pixels (PS3.3 A.35.1)."""
    from pydicom import Dataset

    title, item = Dataset(), Dataset()
    title.CodeValue, title.CodingSchemeDesignator = "11528-7", "LN"
    title.CodeMeaning = "Radiology Report"
    finding = Dataset()
    finding.CodeValue, finding.CodingSchemeDesignator = "121071", "DCM"
    finding.CodeMeaning = "Finding"
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence, item.TextValue = [finding], text
    own = {
        "ContentDate": _WHEN["StudyDate"],
        "ContentTime": _WHEN["StudyTime"],
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ReferencedPerformedProcedureStepSequence": [],
        "PerformedProcedureCodeSequence": [],
        "ValueType": "CONTAINER",
        "ContinuityOfContent": "SEPARATE",
        "ConceptNameCodeSequence": [title],
        "ContentSequence": [item],
        "SeriesNumber": 1,
    }
    return _made(BASIC_TEXT_SR, "SR", {**own, **attributes})


def study(images: int, **attributes: object) -> Iterator[FileDataset]:
    """Make that many CT images of one series: one study, one frame of reference."""
    from pydicom.uid import generate_uid

    shared = {
        name: generate_uid(None)
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    }
    for number in range(1, images + 1):
        place = {"InstanceNumber": number, "ImagePositionPatient": [0, 0, number]}
        yield ct_image(**{**shared, **place, **attributes})


def encode(dataset: Dataset) -> bytes:
    """Return a dataset as the bytes of a DICOM file: what `aiodicom.Requestor.c_store` takes."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _made(sop_class: str, modality: str, attributes: dict[str, object]) -> FileDataset:
    from pydicom import Dataset, dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.SOPClassUID, made.Modality = sop_class, modality
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(made, name, generate_uid(None))
    for name in _MANY_AND_UNKNOWN:
        setattr(made, name, None)
    made.InstanceNumber = 1
    for name, value in {**_WHEN, **attributes}.items():
        setattr(made, name, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    return dcmread(io.BytesIO(encode(made)))  # equal to what is read when it has come


def _plane() -> dict[str, object]:
    """The modules of a plane somewhere in space (PS3.3 C.7.4.1, C.7.6.2)."""
    from pydicom.uid import generate_uid

    return {
        "FrameOfReferenceUID": generate_uid(None),
        "PositionReferenceIndicator": None,
        "PatientPosition": "HFS",
        "PixelSpacing": [1, 1],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 0],
        "SliceThickness": "1",
        "AcquisitionNumber": None,
    }


def _pixels(bits: int) -> dict[str, object]:
    """The image pixel module (PS3.3 C.7.6.3), with a ramp."""
    size = 1 if bits == 8 else 2
    values = (number * 7 % (1 << bits) for number in range(_SIDE * _SIDE))
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": _SIDE,
        "Columns": _SIDE,
        "BitsAllocated": 8 * size,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelData": b"".join(value.to_bytes(size, "little") for value in values),
    }
