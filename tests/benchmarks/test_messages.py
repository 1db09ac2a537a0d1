"""The load generator's prebuilt bytes are what a sender would send."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest

from aiodicom.wire.dimse import CommandField, CommandSet, Tag
from aiodicom.wire.pdu import DataTransfer, decode_pdu
from benchmarks.messages import LARGE, Message, Messages, instance_uid
from benchmarks.objects import ct_dataset, write_ct

LENGTH = 16384


def pdvs(data: bytes) -> list[tuple[bool, bool, bytes]]:
    """Take P-DATA-TFs apart: whether a command, whether the last fragment, and the data."""
    found = []
    while data:
        size = 6 + int.from_bytes(data[2:6], "big")
        assert size <= 6 + LENGTH
        pdu = decode_pdu(data[:size])
        assert isinstance(pdu, DataTransfer)
        found += [(pdv.is_command, pdv.is_last, bytes(pdv.data)) for pdv in pdu.pdvs]
        data = data[size:]
    return found


def whole(message: Message) -> bytes:
    tail = message.tail
    return bytes(message.view) + (os.pread(tail.descriptor, tail.size, 0) if tail.size else b"")


@pytest.mark.parametrize("size", [6_000, 40_000, LARGE + 100_000])
def test_a_patched_message_is_the_other_object(tmp_path: Path, size: int) -> None:
    write_ct(tmp_path / "ct.dataset", size)
    message = Messages(str(tmp_path / "ct.dataset")).of_length(LENGTH)
    message.patch(70_000)
    command, *fragments = pdvs(whole(message))
    values = CommandSet.decode(command[2])
    assert values.uid(Tag.AFFECTED_SOP_INSTANCE_UID) == instance_uid(70_000).decode()
    assert values.number(Tag.MESSAGE_ID) == 70_000 & 0xFFFF
    expected = ct_dataset(size).replace(instance_uid(0), instance_uid(70_000))
    assert b"".join(data for *_, data in fragments) == expected
    assert [last for _, last, _ in fragments] == [False] * (len(fragments) - 1) + [True]


def test_only_the_beginning_of_a_large_object_is_in_memory(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct.dataset", LARGE + 100_000)
    message = Messages(str(tmp_path / "ct.dataset")).of_length(LENGTH)
    assert len(message.view) < 2 * LENGTH
    assert message.tail.size > LARGE - LENGTH


def test_without_a_dataset_it_is_an_echo() -> None:
    message = Messages("").of_length(LENGTH)
    message.patch(3)
    ((is_command, is_last, data),) = pdvs(bytes(message.view))
    assert is_command
    assert is_last
    command = CommandSet.decode(data)
    assert (command.field, command.number(Tag.MESSAGE_ID)) == (CommandField.C_ECHO, 3)


def test_the_object_is_an_image(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct.dataset", 530_000)
    image = pydicom.dcmread(tmp_path / "ct.dataset", force=True)
    assert 500_000 < (tmp_path / "ct.dataset").stat().st_size <= 530_000
    assert len(image.PixelData) == 2 * image.Rows * image.Columns
