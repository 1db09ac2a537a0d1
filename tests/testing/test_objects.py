"""Datasets for tests: as their sender says, and nobody's."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from aiodicom.testing import objects

MAKERS = (objects.ct_image, objects.mr_image, objects.secondary_capture, objects.report)


@pytest.mark.parametrize("make", MAKERS)
def test_an_object_is_the_same_after_it_was_written_and_read(make: Callable[[], Dataset]) -> None:
    made = make()
    read = dcmread(io.BytesIO(objects.encode(made)))
    assert read == made
    assert read.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID


@pytest.mark.parametrize("make", MAKERS)
def test_an_object_says_nothing_of_a_patient(make: Callable[[], Dataset]) -> None:
    group = make().group_dataset(0x0010)
    assert group
    assert not any(element.value for element in group if element.tag < 0x00180000)


@pytest.mark.parametrize("make", MAKERS)
def test_no_two_objects_share_a_uid(make: Callable[[], Dataset]) -> None:
    one, other = make(), make()
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert one[name].value != other[name].value


@pytest.mark.parametrize("make", MAKERS[:3])
def test_pixels_are_as_many_as_the_image_says(make: Callable[[], Dataset]) -> None:
    made = make()
    assert len(made.PixelData) == made.Rows * made.Columns * made.BitsAllocated // 8
    pixels = memoryview(made.PixelData).cast("H" if made.BitsAllocated == 16 else "B")
    assert min(pixels) < max(pixels) < 1 << made.BitsStored


def test_keywords_replace_what_would_stand_there() -> None:
    made = objects.ct_image(PatientID="TEST", SOPInstanceUID="1.2.3")
    assert made.PatientID == "TEST"
    assert made.file_meta.MediaStorageSOPInstanceUID == "1.2.3"


def test_a_study_is_one_series_in_order() -> None:
    images = list(objects.study(3, PatientID="TEST"))
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({image[name].value for image in images}) == 1
    assert len({image.SOPInstanceUID for image in images}) == 3
    assert [image.InstanceNumber for image in images] == [1, 2, 3]


def test_a_report_says_what_it_is_told() -> None:
    (item,) = objects.report("All is well.").ContentSequence
    assert item.TextValue == "All is well."


@pytest.mark.dcmtk
@pytest.mark.parametrize("make", MAKERS)
def test_dcmtk_reads_an_object(make: Callable[[], Dataset], tmp_path: Path) -> None:
    path = tmp_path / "object.dcm"
    path.write_bytes(objects.encode(make()))
    dumped = subprocess.run(
        ("dcmdump", path), capture_output=True, text=True, timeout=20, check=True
    )
    assert dumped.stderr == ""
    assert make().Modality in dumped.stdout
