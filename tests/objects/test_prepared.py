"""Objects made ready for one association: as they are, or with a reason why not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

import aiodicom
from aiodicom.errors import NotSent
from aiodicom.objects.header import ObjectHeader, read_header
from aiodicom.objects.prepared import Preparation, Prepared
from aiodicom.objects.source import CHUNK
from aiodicom.wire.items import AcceptedContext, TransferSyntax
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from aiodicom.wire.pdu import PDV
from aiodicom.wire.proposal import DEFLATED, Agreed, Context, Proposal
from tests.objects.test_source import pdvs_of
from tests.peer import CT
from tests.scripted_acceptor import (
    MR,
    accept_all,
    acceptance,
    dataset,
    open_descriptors,
    write_object,
)

JPEG = "1.2.840.10008.1.2.4.50"
UID = "1.2.826.0.1.79"

CONTEXTS: tuple[Context, ...] = (
    (CT, (IMPLICIT_LITTLE,)),
    (CT, (EXPLICIT_LITTLE,)),
    (CT, (DEFLATED,)),
    (CT, (JPEG,)),
)


def preparation(
    room: int = 4090,
    contexts: tuple[Context, ...] = CONTEXTS,
    answers: Iterable[AcceptedContext] | None = None,
) -> Preparation:
    proposal = Proposal(contexts)
    request = proposal.request()
    accept = acceptance(request, answer=lambda request: answers or accept_all(request))
    return Preparation(Agreed.of(proposal, accept), room, aiodicom.Alterations())


def everything(prepared: Prepared) -> list[PDV]:
    wire = bytes(prepared.first)
    while not prepared.is_all_read:
        wire += prepared.read()
    return list(pdvs_of(wire))


def data_of(prepared: Prepared) -> bytes:
    return b"".join(pdv.data for pdv in everything(prepared))


def test_a_small_object_is_whole_and_its_file_closed(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID, 10_000)
    before = open_descriptors()
    prepared = preparation().of(read_header(str(path)))
    assert open_descriptors() == before
    assert prepared.is_whole
    assert prepared.is_all_read
    assert data_of(prepared) == dataset(UID, 10_000)
    assert prepared.sop_instance_uid == UID
    assert prepared.context.context_id == 3
    assert {pdv.context_id for pdv in everything(prepared)} == {3}


@pytest.mark.parametrize("room", [4090, 131066])
@pytest.mark.parametrize("more", [-2, 0, 2])
def test_a_large_object_is_read_part_by_part(tmp_path: Path, room: int, more: int) -> None:
    size = 2 * (CHUNK // room * room) + more
    path = write_object(tmp_path, UID, size)
    before = open_descriptors()
    prepared = preparation(room).of(read_header(str(path)))
    assert not prepared.is_whole
    assert open_descriptors() != before
    parts = [bytes(prepared.first)]
    while not prepared.is_all_read:
        parts.append(bytes(prepared.read()))
    assert len(parts) == (3 if more > 0 else 2)
    assert open_descriptors() == before
    pdvs = [pdv for part in parts for pdv in pdvs_of(part)]
    assert b"".join(pdv.data for pdv in pdvs) == dataset(UID, size)
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]


def test_an_object_that_is_not_sent_is_closed(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID, 4 * CHUNK)
    before = open_descriptors()
    prepared = preparation().of(read_header(str(path)))
    assert open_descriptors() != before
    prepared.close()
    prepared.close()
    assert open_descriptors() == before


def test_an_object_of_bytes_needs_no_file() -> None:
    data = dataset(UID, 3 * CHUNK)
    header = ObjectHeader("", CT, UID, EXPLICIT_LITTLE, 0, len(data))
    assert data_of(preparation().of(header, data)) == data


def test_the_object_goes_in_the_context_of_its_transfer_syntax(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID, transfer_syntax=JPEG)
    assert preparation().of(read_header(str(path))).context.context_id == 7


@pytest.mark.parametrize("size", [101, CHUNK + 1])
def test_an_odd_dataset_is_not_sent(tmp_path: Path, size: int) -> None:
    path = write_object(tmp_path, UID, size)
    header = read_header(str(path))
    before = open_descriptors()
    with pytest.raises(NotSent, match=f"its dataset is {size} bytes long, not an even number"):
        preparation().of(header)
    assert open_descriptors() == before


@pytest.mark.parametrize("size", [101, CHUNK + 1])
def test_an_odd_deflated_dataset_is_padded(tmp_path: Path, size: int) -> None:
    data = b"\1" * size
    path = tmp_path / "deflated"
    path.write_bytes(data)
    modified = path.stat().st_mtime_ns
    header = ObjectHeader(str(path), CT, UID, DEFLATED, 0, size, modified)
    for prepared in (preparation().of(header), preparation().of(header, data)):
        assert data_of(prepared) == data + b"\0"


def test_an_even_deflated_dataset_is_not_padded() -> None:
    header = ObjectHeader("", CT, UID, DEFLATED, 0, 100)
    assert data_of(preparation().of(header, bytes(100))) == bytes(100)


def test_a_file_that_has_vanished(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID)
    header = read_header(str(path))
    path.unlink()
    with pytest.raises(NotSent, match="cannot be read: No such file or directory"):
        preparation().of(header)


@pytest.mark.parametrize("change", ["shorter", "longer", "touched"])
def test_a_file_that_has_changed_is_not_sent(tmp_path: Path, change: str) -> None:
    """What its header says of it holds no longer."""
    path = write_object(tmp_path, UID, 10_000)
    header = read_header(str(path))
    if change == "touched":
        os.utime(path, ns=(0, header.modified + 1))
    else:
        size = path.stat().st_size
        os.truncate(path, size + (1000 if change == "longer" else -1000))
        os.utime(path, ns=(0, header.modified))
    before = open_descriptors()
    with pytest.raises(NotSent, match="the file has changed since its header was read"):
        preparation().of(header)
    assert open_descriptors() == before


def test_a_file_that_becomes_shorter_on_its_way_is_closed(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID, 3 * CHUNK)
    before = open_descriptors()
    prepared = preparation().of(read_header(str(path)))
    os.truncate(path, CHUNK)
    with pytest.raises(NotSent, match="has become shorter"):
        everything(prepared)
    assert open_descriptors() == before


def _accepted(context_id: int, transfer: str) -> AcceptedContext:
    return AcceptedContext(context_id, 0, (TransferSyntax(transfer),))


@pytest.mark.parametrize(
    ("sop_class", "transfer", "answers", "reason"),
    [
        (MR, EXPLICIT_LITTLE, None, "^MR Image Storage was not proposed$"),
        (
            CT,
            "1.2.840.10008.1.2.4.90",
            None,
            "^it is JPEG 2000 .*, which was not proposed for CT Image Storage$",
        ),
        (
            CT,
            JPEG,
            [_accepted(1, IMPLICIT_LITTLE), _accepted(3, EXPLICIT_LITTLE)],
            "^it is JPEG Base.*, and the peer takes CT Image Storage only as Implicit.*, Explicit",
        ),
        (
            CT,
            EXPLICIT_BIG,
            [AcceptedContext(3, 4, ())],
            "^the peer accepts no CT Image Storage as Implicit.*, Explicit.*, Deflated.*, JPEG",
        ),
        (
            CT,
            EXPLICIT_LITTLE,
            [AcceptedContext(3, 4, ())],
            "^the peer accepts no CT Image Storage as Explicit VR Little Endian$",
        ),
    ],
)
def test_why_an_object_is_not_sent(
    sop_class: str, transfer: str, answers: list[AcceptedContext] | None, reason: str
) -> None:
    header = ObjectHeader("", sop_class, UID, transfer, 0, 100)
    with pytest.raises(NotSent, match=reason):
        preparation(answers=answers).of(header, bytes(100))
