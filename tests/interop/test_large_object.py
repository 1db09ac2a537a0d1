"""A gigabyte in one object, in a few megabytes of memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.wire.dimse import Status
from tests.peer import CT, CT_CONTEXT, command_pdu, element, store_command, uid_value
from tests.processes import Sender, receiving, visible

UID = "1.2.826.0.1.1"
GIGABYTE = 1 << 30
PDU = 1 << 17
MEGABYTE = 1 << 20


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with room for a gigabyte, in memory where there is enough of it."""
    shared = Path("/dev/shm")
    room = os.statvfs(shared) if shared.is_dir() else None
    is_enough = room is not None and room.f_bavail * room.f_frsize > 4 * GIGABYTE
    with tempfile.TemporaryDirectory(dir=shared if is_enough else None) as name:
        yield Path(name) / "received"


def head(pixels: int) -> bytes:
    """What precedes the pixels of a multi-frame object in Explicit VR Little Endian."""
    return (
        element(0x00080016, b"UI", uid_value(CT))
        + element(0x00080018, b"UI", uid_value(UID))
        + element(0x00280008, b"IS", b"2048")
        + b"\xe0\x7f\x10\x00OW\0\0"
        + pixels.to_bytes(4, "little")
    )


def pdu(data: bytes | memoryview, is_last: bool) -> bytes:
    """A P-DATA-TF with one fragment of a dataset (PS3.8 9.3.5)."""
    length = len(data) + 2
    return (
        b"\4\0"
        + (length + 4).to_bytes(4, "big")
        + length.to_bytes(4, "big")
        + bytes((CT_CONTEXT, 2 if is_last else 0))
        + data
    )


def send_gigabyte(sender: Sender) -> bytes:
    """Send a C-STORE of a gigabyte out of one small buffer; return the dataset's digest."""
    digest = hashlib.blake2b()
    chunk = os.urandom(PDU - 6)
    count = GIGABYTE // len(chunk) + 1
    first = head(count * len(chunk))
    digest.update(first)
    sender.send(command_pdu(store_command(UID)) + pdu(first, False))
    ordinary, last = pdu(chunk, False), pdu(chunk, True)
    for number in range(count):
        digest.update(chunk)
        sender.send(ordinary if number < count - 1 else last)
    return digest.digest()


def digest_of(path: Path) -> bytes:
    """The digest of a stored object's dataset."""
    digest = hashlib.blake2b()
    with path.open("rb") as file:
        start = file.read(144)
        file.seek(144 + int.from_bytes(start[140:], "little"))
        while chunk := file.read(MEGABYTE):
            digest.update(chunk)
    return digest.digest()


def test_gigabyte_is_stored_in_little_memory(tmp_path: Path, folder: Path) -> None:
    options = ("-od", str(folder), "-pdu", str(PDU))
    with receiving("storescp", *options, folder=tmp_path) as receiver:
        idle = receiver.memory("VmRSS")
        with Sender(receiver.port) as sender:
            accepted = sender.associate()
            assert accepted.maximum_length == PDU
            sent = send_gigabyte(sender)
            assert sender.status() == Status.SUCCESS
        peak = receiver.memory("VmHWM")
        figures = f"idle {idle / MEGABYTE:.1f} MiB, peak {peak / MEGABYTE:.1f} MiB"
        assert peak - idle <= 24 * MEGABYTE, figures
        assert peak <= 64 * MEGABYTE, figures
    assert visible(folder) == [f"CT.{UID}"]
    assert digest_of(folder / f"CT.{UID}") == sent
