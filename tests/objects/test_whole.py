"""Files that were cut off, and others that only look so."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from aiodicom.errors import NotSent
from aiodicom.objects import whole
from aiodicom.objects.elements import WINDOW
from aiodicom.objects.header import FIRST_READ, read_header
from tests.objects.building import (
    BIG,
    DEFLATED,
    EVERY_KIND,
    IMPLICIT,
    LITTLE,
    SEQUENCE_END,
    UNDEFINED,
    Element,
    dataset,
    header,
    one,
)
from tests.scripted_acceptor import write_object

Elements = tuple[Element, ...]

PIXELS = 0x7FE00010
JPEG = "1.2.840.10008.1.2.4.70"
UNCOMPRESSED = (IMPLICIT, LITTLE, BIG)
UIDS = EVERY_KIND[1:3]
PRIVATE: Element = (0x00091001, "UN", bytes(1 << 17))  # more than is read in search of pixel data
TRAILING: Element = (0xFFFCFFFC, "OB", bytes(6))


def encapsulated() -> bytes:
    fragments = b"".join(one(JPEG, 0xFFFEE000, "", value) for value in (b"", b"pixels"))
    end = header(JPEG, SEQUENCE_END, "", 0)
    return dataset(JPEG, UIDS) + header(JPEG, PIXELS, "OB", UNDEFINED) + fragments + end


def written(folder: Path, uid: str, data: bytes) -> str:
    return str(write_object(folder, "1.2.3", transfer_syntax=uid, data=data))


def refused(folder: Path, uid: str, data: bytes) -> str:
    with pytest.raises(NotSent, match=r"^it was cut off: ") as caught:
        read_header(written(folder, uid, data))
    return str(caught.value)


@pytest.mark.parametrize("uid", UNCOMPRESSED)
@pytest.mark.parametrize("end", [(), (TRAILING,)])
@pytest.mark.parametrize("before", [(), (PRIVATE,)])
def test_files_cut_in_their_pixels(
    tmp_path: Path, uid: str, before: Elements, end: Elements
) -> None:
    pixels = (PIXELS, "OW", tuple(range(500)))
    data = dataset(uid, (*UIDS, *before, pixels, *end))
    assert read_header(written(tmp_path, uid, data)).size == len(data)
    tail = len(dataset(uid, end))
    said = refused(tmp_path, uid, data[: -100 - tail])
    assert said == "it was cut off: (7FE0,0010) is longer than the dataset"


@pytest.mark.parametrize("uid", UNCOMPRESSED)
@pytest.mark.parametrize("undefined", [False, True])
def test_files_cut_anywhere_but_between_elements(tmp_path: Path, uid: str, undefined: bool) -> None:
    parts = [dataset(uid, (each,), undefined=undefined) for each in EVERY_KIND]
    ends = [sum(map(len, parts[: count + 1])) for count in range(len(parts))]
    data = b"".join(parts)
    uids = ends[2]
    for size in range(uids + 2, len(data) + 1, 6 if undefined else 14):
        if size in ends:
            assert read_header(written(tmp_path, uid, data[:size])).size == size
        else:
            refused(tmp_path, uid, data[:size])


@pytest.mark.parametrize("inside", [4, 6, 8, 10])
@pytest.mark.parametrize("read", [FIRST_READ, WINDOW])
def test_pixels_whose_header_is_not_read_at_once(tmp_path: Path, read: int, inside: int) -> None:
    start = read_header(written(tmp_path, LITTLE, dataset(LITTLE, UIDS))).offset
    until = (read - start if read == FIRST_READ else read) - inside
    room = until - len(dataset(LITTLE, (*UIDS, (0x00091001, "UN", b""))))
    before = dataset(LITTLE, (*UIDS, (0x00091001, "UN", bytes(room))))
    assert len(before) == until
    data = before + dataset(LITTLE, ((PIXELS, "OW", tuple(range(500))),))
    assert read_header(written(tmp_path, LITTLE, data)).size == len(data)
    refused(tmp_path, LITTLE, data[:-2])


def test_pixels_that_are_encapsulated(tmp_path: Path) -> None:
    data = encapsulated()
    assert read_header(written(tmp_path, JPEG, data)).size == len(data)
    for cut in (2, 8, 10, 16):
        refused(tmp_path, JPEG, data[:-cut])
    more = data + dataset(JPEG, (TRAILING,))
    assert read_header(written(tmp_path, JPEG, more)).size == len(more)


def test_an_icon_is_not_the_pixels(tmp_path: Path) -> None:
    pixels = (PIXELS, "OW", (1, 2, 3))
    icon = (0x00880200, "SQ", ((pixels,),))
    data = dataset(LITTLE, (*UIDS, icon, pixels))
    assert read_header(written(tmp_path, LITTLE, data)).size == len(data)
    refused(tmp_path, LITTLE, data[:-2])


def test_implicit_vr_under_an_explicit_transfer_syntax(tmp_path: Path) -> None:
    data = dataset(IMPLICIT, EVERY_KIND)
    assert read_header(written(tmp_path, LITTLE, data)).size == len(data)
    refused(tmp_path, LITTLE, data[:-2])


def test_what_cannot_be_followed_is_taken_as_it_is(tmp_path: Path) -> None:
    start = dataset(LITTLE, UIDS)
    for rest in (bytes(16), one(LITTLE, 0x00100010, "??", b"odd!"), start):
        assert read_header(written(tmp_path, LITTLE, start + rest + b"\xff\xff")).size
    assert read_header(written(tmp_path, "1.2.3.4", start[:-2])).size


def test_what_is_deflated_is_taken_as_it_is(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(dataset(LITTLE, EVERY_KIND)) + packer.flush()
    assert read_header(written(tmp_path, DEFLATED, data[:-2])).size == len(data) - 2


@pytest.mark.parametrize("more", [(), ((0xFFFCFFFC, "OB", bytes(5000)),)])
def test_so_many_elements_are_not_all_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Elements
) -> None:
    data = dataset(LITTLE, (*EVERY_KIND, *more))[:-2]
    refused(tmp_path, LITTLE, data)
    monkeypatch.setattr(whole, "MOST", 10)
    assert read_header(written(tmp_path, LITTLE, data)).size == len(data)


def test_no_file_stays_open(tmp_path: Path) -> None:
    data = dataset(LITTLE, (*UIDS, PRIVATE, (PIXELS, "OW", (1, 2))))
    before = os.listdir("/proc/self/fd")
    read_header(written(tmp_path, LITTLE, data))
    refused(tmp_path, LITTLE, data[:-2])
    assert os.listdir("/proc/self/fd") == before
