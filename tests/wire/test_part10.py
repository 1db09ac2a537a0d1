"""Preamble and File Meta Information: as pydicom reads and writes them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite

from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from aiodicom.wire.part10 import FileMeta, encode_file_meta
from tests.peer import CT, ct_dataset

META = FileMeta(CT, "1.2.3", "1.2.840.10008.1.2.1", "SOMEBODY")


def test_pydicom_reads_what_we_write() -> None:
    dataset = dcmread(BytesIO(META.encode() + ct_dataset("1.2.3")))
    meta = dataset.file_meta
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CT, "1.2.3")
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == "SOMEBODY"
    assert dataset.SOPInstanceUID == "1.2.3"


@pytest.mark.parametrize("source", ["", "ME", "YOU"])
def test_the_group_length_is_right(source: str) -> None:
    data = FileMeta(CT, "1.2.33", "1.2", source).encode()
    meta = dcmread(BytesIO(data)).file_meta
    assert meta.FileMetaInformationGroupLength == len(data) - 144


def test_the_preamble_is_empty() -> None:
    assert META.encode()[:132] == bytes(128) + b"DICM"


def test_without_a_source_there_is_no_source() -> None:
    meta = dcmread(BytesIO(FileMeta(CT, "1.2", "1.2").encode())).file_meta
    assert "SourceApplicationEntityTitle" not in meta


def test_what_we_write_is_read_again() -> None:
    data = META.encode()
    assert FileMeta.decode(data + b"the dataset") == (META, len(data))


def test_both_ways_to_write_are_one() -> None:
    other = FileMeta("1.2", "1.3", "1.4", "ME", "1.5", "V")
    assert encode_file_meta("1.2", "1.3", "1.4", "ME", "1.5", "V") == other.encode()
    assert FileMeta.decode(other.encode())[0] == other


def test_two_objects_of_one_series_differ_in_their_instance_only() -> None:
    # What they share is written once.
    one, two = (FileMeta(CT, uid, "1.2", "ME").encode() for uid in ("1.2.3", "1.2.3333"))
    assert FileMeta.decode(one)[0].sop_instance_uid == "1.2.3"
    assert FileMeta.decode(two)[0].sop_instance_uid == "1.2.3333"
    assert len(two) == len(one) + 2


def test_we_read_what_pydicom_writes() -> None:
    written: Any = FileMetaDataset()
    written.MediaStorageSOPClassUID = CT
    written.MediaStorageSOPInstanceUID = "1.2.3"
    written.TransferSyntaxUID = "1.2.840.10008.1.2"
    written.ImplementationClassUID = "1.2.4"
    written.SourceApplicationEntityTitle = "YOU"
    written.PrivateInformationCreatorUID = "1.9"
    written.PrivateInformation = b"a long value" * 7000
    dataset = Dataset()
    dataset.file_meta = written
    dataset.PatientName = "A^B"
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    data = file.getvalue()
    meta, offset = FileMeta.decode(data)
    assert (meta.sop_class_uid, meta.sop_instance_uid) == (CT, "1.2.3")
    assert (meta.transfer_syntax_uid, meta.source_ae_title) == ("1.2.840.10008.1.2", "YOU")
    assert data[offset : offset + 8] == b"\x10\0\x10\0\4\0\0\0"


@pytest.mark.parametrize("uid", ["", "1", "../../etc", "1.2\xff", "1" * 65, "\u2603"])
def test_a_uid_that_a_peer_made_badly_is_written(uid: str) -> None:
    data = FileMeta(CT, uid, "1.2").encode()
    meta, offset = FileMeta.decode(data)
    assert offset == len(data)
    assert meta.sop_instance_uid == uid.replace("\u2603", "?")


def test_a_missing_element_is_empty() -> None:
    meta, offset = FileMeta.decode(bytes(128) + b"DICM" + b"\x08\0\5\0")
    assert offset == 132
    assert meta == FileMeta("", "", "", "", "", "")


@pytest.mark.parametrize("data", [b"", b"DICM", bytes(132), bytes(127) + b"DICM" + bytes(50)])
def test_what_is_no_file(data: bytes) -> None:
    with pytest.raises(ValueError, match="no DICM prefix"):
        FileMeta.decode(data)


def test_a_file_that_ends_anywhere_inside_its_head() -> None:
    data = META.encode()
    elements = {132, 144}  # between two elements it ends like one that has no more
    position = 144
    while position < len(data):
        is_long = data[position + 4 : position + 6] == b"OB"
        length = int.from_bytes(data[position + 6 : position + 8], "little")
        position += 14 if is_long else 8 + length
        elements.add(position)
    for end in range(133, len(data)):
        if end in elements or end - 1 in elements:
            continue
        with pytest.raises(ValueError, match="ends inside"):
            FileMeta.decode(data[:end])


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_length_that_lies(length: int) -> None:
    data = bytes(128) + b"DICM" + b"\2\0\1\0OB\0\0" + length.to_bytes(4, "little") + b"\0\1"
    with pytest.raises(ValueError, match="ends inside"):
        FileMeta.decode(data)


TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=70)


@given(st.builds(FileMeta, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT))
@settings(max_examples=100, deadline=None, database=None)
def test_all_heads_round_trip(meta: FileMeta) -> None:
    assert FileMeta.decode(meta.encode()) == (meta, len(meta.encode()))


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None, database=None)
def test_any_bytes_are_a_head_or_a_value_error(data: bytes) -> None:
    for head in (data, bytes(128) + b"DICM" + data, META.encode()[:-20] + data):
        try:
            _, offset = FileMeta.decode(head)
        except ValueError:
            continue
        assert 132 <= offset <= len(head)
