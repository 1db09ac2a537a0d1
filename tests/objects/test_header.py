"""What an object is, from the beginning of its file: files as they are, and as they break."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Literal

import pytest

from aiodicom.errors import NotSent
from aiodicom.objects.header import ObjectHeader, TooShort, parse_header, read_header
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from aiodicom.wire.part10 import encode_file_meta
from aiodicom.wire.proposal import DEFLATED
from tests.interop.samples import CUT_OFF, FILES, ROOT, SAMPLES, WITHOUT_META, Sample, named
from tests.peer import CT, element, uid_value
from tests.scripted_acceptor import MR, dataset, write_object

UID = "1.2.826.0.1.77"
META = encode_file_meta(CT, UID, EXPLICIT_LITTLE)
WHOLE = META + dataset(UID, 200)

MEBIBYTE = 1 << 20


def private(size: int) -> bytes:
    """An element that stands before both UIDs, and is that long with its head."""
    value = bytes(size - 12)
    return b"\x08\x00\x01\x00UN\0\0" + len(value).to_bytes(4, "little") + value


# pydicom's files ---------------------------------------------------------------------------------


WHOLE_SAMPLES = [one for one in SAMPLES if one not in CUT_OFF]


@pytest.mark.parametrize("one", WHOLE_SAMPLES, ids=lambda one: str(one.path.relative_to(ROOT)))
def test_pydicom_says_the_same(one: Sample) -> None:
    header = read_header(str(one.path))
    assert header == ObjectHeader(
        str(one.path),
        one.sop_class_uid,
        one.sop_instance_uid,
        one.transfer_syntax_uid,
        one.path.stat().st_size - len(one.data),
        len(one.data),
        one.path.stat().st_mtime_ns,
    )


@pytest.mark.parametrize("one", CUT_OFF, ids=lambda one: one.path.name)
def test_pydicoms_files_that_were_cut_off(one: Sample) -> None:
    with pytest.raises(NotSent, match=r"^it was cut off: "):
        read_header(str(one.path))


@pytest.mark.parametrize("name", WITHOUT_META)
def test_a_dataset_alone_is_no_file(name: str) -> None:
    path = str(named(name).path)
    with pytest.raises(NotSent, match="no DICM prefix at byte 128"):
        read_header(path, "file")
    assert read_header(path, "dataset") == read_header(path, "any")


def test_what_is_no_dicom_is_told_apart() -> None:
    others = [path for path in FILES if path.suffix in (".json", ".md", ".pyc", ".dump", ".gz")]
    assert len(others) >= 8
    for path in others:
        with pytest.raises(NotSent, match="not a DICOM file"):
            read_header(str(path))


def test_what_has_no_sop_class_cannot_be_stored() -> None:
    path = ROOT / "test_files" / "empty_charset_LEI.dcm"
    with pytest.raises(NotSent, match="no SOP Class UID: not an object that can be stored"):
        read_header(str(path))


# Files -------------------------------------------------------------------------------------------


def test_the_dataset_counts_not_what_the_file_says_of_it(tmp_path: Path) -> None:
    data = dataset(UID, 100, MR)
    (tmp_path / "a").write_bytes(encode_file_meta(CT, "1.2.3", EXPLICIT_LITTLE) + data)
    header = read_header(str(tmp_path / "a"))
    assert (header.sop_class_uid, header.sop_instance_uid) == (MR, UID)


def test_the_file_counts_where_the_dataset_has_no_uids(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID, data=element(0x00100010, b"PN", b"Doe^Jo"))
    header = read_header(str(path))
    assert (header.sop_class_uid, header.sop_instance_uid) == (CT, UID)
    assert header.size == 14


def test_the_file_counts_where_the_dataset_cannot_be_looked_into(tmp_path: Path) -> None:
    transfer = "1.3.46.670589.33.1.4.1"
    path = write_object(tmp_path, UID, transfer_syntax=transfer, data=b"whatever it is")
    header = read_header(str(path))
    assert header.sop_instance_uid == UID
    assert header.transfer_syntax_uid == transfer


def test_a_file_without_a_transfer_syntax_is_guessed_at(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID, transfer_syntax="")
    assert read_header(str(path)).transfer_syntax_uid == EXPLICIT_LITTLE


def test_a_file_without_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="it ends too early"):
        read_header(str(write_object(tmp_path, UID, data=b"")))


def test_a_deflated_one_tells_its_uids(tmp_path: Path) -> None:
    one = named("image_dfl.dcm")
    assert one.transfer_syntax_uid == DEFLATED
    without = encode_file_meta("", "", DEFLATED) + one.data
    (tmp_path / "a").write_bytes(without)
    assert read_header(str(tmp_path / "a")).sop_instance_uid == one.sop_instance_uid


@pytest.mark.parametrize("size", [3000, 4000, 40_000, 300_000, MEBIBYTE - 400])
def test_uids_far_from_the_beginning(tmp_path: Path, size: int) -> None:
    data = private(size) + dataset(UID, 500)
    path = write_object(tmp_path, "1.2.3", data=data)
    assert read_header(str(path)).sop_instance_uid == UID


def test_uids_too_far_from_the_beginning(tmp_path: Path) -> None:
    path = write_object(tmp_path, "1.2.3", data=private(MEBIBYTE) + dataset(UID, 500))
    with pytest.raises(NotSent, match="no SOP Instance UID in its first megabyte"):
        read_header(str(path))


def test_a_large_file_costs_one_small_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_object(tmp_path, UID, data=dataset(UID)[:-4] + b"\0\0\0\xff")
    size = path.stat().st_size + (0xFF << 24)
    os.truncate(path, size)
    reads: list[int] = []
    pread = os.pread

    def counted(descriptor: int, count: int, offset: int) -> bytes:
        reads.append(count)
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    header = read_header(str(path))
    assert header.offset + header.size == size
    assert reads == [4096]


# Files that are none -----------------------------------------------------------------------------


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match=r"^cannot be read: No such file or directory$"):
        read_header(str(tmp_path / "none"))


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match=r"^cannot be read: Is a directory$"):
        read_header(str(tmp_path))


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    said: list[str] = []

    def read() -> None:
        try:
            read_header(str(path))
        except NotSent as error:
            said.append(str(error))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(5)
    assert said == ["cannot be read: Illegal seek"]


def test_files_are_closed_whatever_they_hold(tmp_path: Path) -> None:
    good, bad = write_object(tmp_path, UID), tmp_path / "bad"
    bad.write_bytes(b"no DICOM")
    before = os.listdir("/proc/self/fd")
    read_header(str(good))
    with pytest.raises(NotSent):
        read_header(str(bad))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("data", [b"", b"\2", bytes(128), b"hello", bytes(128) + b"DICM"])
def test_a_stub(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "stub"
    path.write_bytes(data)
    with pytest.raises(NotSent):
        read_header(str(path))


@pytest.mark.parametrize("cut", [136, 140, 150, 200, len(META) - 1])
def test_a_file_that_ends_inside_its_meta_information(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes(WHOLE[:cut])
    with pytest.raises(NotSent, match="ends inside its File Meta Information"):
        read_header(str(path))


@pytest.mark.parametrize(
    ("sop_class", "transfer"),
    [
        (CT + "\xe9", EXPLICIT_LITTLE),
        ("1." * 33, EXPLICIT_LITTLE),
        ("CT Image", EXPLICIT_LITTLE),
        (CT, "1.3.\nx"),
        (CT, "1." * 33),
    ],
)
def test_what_cannot_be_proposed_cannot_be_sent(
    tmp_path: Path, sop_class: str, transfer: str
) -> None:
    """One such file would otherwise cost the association of all the others."""
    path = tmp_path / "bad"
    data = dataset(UID, 100).replace(uid_value(CT), bytes(26))
    path.write_bytes(encode_file_meta(sop_class, UID, transfer) + data)
    with pytest.raises(NotSent, match="is no UID") as told:
        read_header(str(path))
    assert str(told.value).isprintable()


# The beginning of a file -------------------------------------------------------------------------


def test_a_beginning_is_too_short_or_tells_the_truth() -> None:
    whole = parse_header(WHOLE)
    told = 0
    for length in range(len(WHOLE)):
        try:
            header = parse_header(WHOLE[:length], is_all=False)
        except TooShort:
            assert not told, f"{length} bytes are too few, {told} were enough"
            continue
        told = told or length
        assert header.sop_instance_uid == UID
        assert header.offset == whole.offset
    assert len(META) < told <= len(META) + 80


@pytest.mark.parametrize(
    ("head", "transfer"),
    [
        (element(0x00080005, b"CS", b"AB"), EXPLICIT_LITTLE),
        (b"\x08\0\x05\0\2\0\0\0AB", IMPLICIT_LITTLE),
        (b"\0\x08\0\x05CS\0\2AB", EXPLICIT_BIG),
    ],
)
def test_a_dataset_alone_is_guessed_at(head: bytes, transfer: str) -> None:
    is_big, is_explicit = transfer == EXPLICIT_BIG, transfer != IMPLICIT_LITTLE
    data = head
    for number, uid in ((0x16, CT), (0x18, UID)):
        value = uid_value(uid)
        order: Literal["big", "little"] = "big" if is_big else "little"
        data += (8).to_bytes(2, order) + number.to_bytes(2, order)
        data += b"UI" if is_explicit else b""
        data += len(value).to_bytes(2 if is_explicit else 4, order) + value
    header = parse_header(data)
    assert (header.sop_class_uid, header.sop_instance_uid) == (CT, UID)
    assert (header.transfer_syntax_uid, header.offset, header.size) == (transfer, 0, len(data))


def test_group_2_without_a_preamble() -> None:
    header = parse_header(WHOLE[132:])
    assert header.offset == len(META) - 132
    assert header.sop_instance_uid == UID
    assert parse_header(WHOLE[132:], "file") == header


def test_no_bytes_whatever_raise_anything_else() -> None:
    for position in range(len(META) + 60):
        for value in (0, 0xFF, WHOLE[position] ^ 0x55):
            damaged = WHOLE[:position] + bytes([value]) + WHOLE[position + 1 :]
            for data, is_all in ((damaged, True), (damaged[: position + 3], False)):
                with contextlib.suppress(NotSent, TooShort):
                    parse_header(data, is_all=is_all)
