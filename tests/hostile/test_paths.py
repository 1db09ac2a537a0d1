"""Names that peers choose: none leads out of the folder, hides in it, or says anything to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiodicom import FileStorage, Status
from aiodicom.storage.schemes import Layout, Names
from aiodicom.storage.sorting import Sorting, by_patient_name, by_series_date, by_study_uid
from aiodicom.storage.studies import Studies
from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.items import ImplementationVersionName
from tests.hostile.victim import attacked
from tests.peer import CT, Peer, association_request, command_pdu, dataset_pdus, element, uid_value
from tests.processes import visible

EVIL = {
    "up": b"../../x",
    "in the middle": b"1.2/../../../x",
    "dots": b"..",
    "dot": b".",
    "hidden": b".1.2",
    "absolute": b"/tmp/x",
    "slash": b"1/2",
    "backslash": b"1.2\\..\\x",
    "drive": b"C:\\x",
    "NUL": b"1.2\0/../x",
    "newline": b"1.2\nI: forged",
    "escape": b"\x1b[2J\x1b]0;x\x07",
    "65 characters": b"1" * 65,
    "4000 characters": b"9." * 2000,
    "4000 slashes": b"/" * 4000,
    "Latin-1": "é/ü".encode("latin-1"),
    "UTF-8 overlong": b"\xc0\xae\xc0\xae/x",
    "no text": bytes(range(128, 256)),
    "quoted": b"%2e%2e%2fx",
    "shell": b"$(touch x);`id`|x&",
    "option": b"-rf",
    "home": b"~/x",
    "temporary": b"1.2.part",
    "spaces": b"  ..  ",
}

SORTINGS: dict[str, Sorting | None] = {
    "flat": None,
    "study": by_study_uid(),
    "prefix": by_study_uid("CT"),
    "date": by_series_date(),
    "name": by_patient_name(),
}

HARMLESS = re.compile(r"[A-Za-z0-9%_][A-Za-z0-9._%~-]*")


def dataset(instance: bytes, study: bytes) -> bytes:
    """A CT that says the same everywhere."""
    padded = [value + b"\0" * (len(value) % 2) for value in (instance, study)]
    return (
        element(0x00080016, b"UI", uid_value(CT))
        + element(0x00080018, b"UI", padded[0])
        + element(0x00080021, b"DA", padded[1][:64])
        + element(0x00100010, b"PN", padded[1])
        + element(0x0020000D, b"UI", padded[1])
    )


def command(instance: bytes) -> CommandSet:
    value = instance + b"\0" * (len(instance) % 2)
    of_it = {Tag.COMMAND_FIELD: b"\1\0", Tag.MESSAGE_ID: b"\1\0", Tag.PRIORITY: b"\0\0",
             Tag.COMMAND_DATA_SET_TYPE: b"\1\0", Tag.AFFECTED_SOP_CLASS_UID: uid_value(CT),
             Tag.AFFECTED_SOP_INSTANCE_UID: value}  # fmt: skip
    return CommandSet({tag.value: data for tag, data in of_it.items()})


def is_contained(folder: Path, root: Path) -> bool:
    """Tell whether all that there is below `root` is files in `folder`, harmlessly called."""
    for path in root.rglob("*"):
        if folder.is_relative_to(path):
            continue
        assert path.resolve().is_relative_to(folder), path
        assert not path.is_symlink()
        assert HARMLESS.fullmatch(path.name), path.name
        assert len(path.name) <= 255
    return True


@pytest.mark.parametrize(
    ("by", "names"), [*((by, Names.INSTANCE) for by in SORTINGS), ("flat", Names.SHORT)]
)
async def test_no_uid_nor_name_leaves_the_folder(by: str, names: Names, tmp_path: Path) -> None:
    folder, sorting = tmp_path / "a" / "received", SORTINGS[by]
    layout = Layout(names=names, sorting=sorting)
    studies = Studies() if sorting is not None and sorting.is_by_run else None
    store = FileStorage(folder, layout=layout, durability="none", studies=studies)
    stored = 0
    async with attacked(store=store) as server, Peer(server.port) as peer:
        await peer.associate()
        for value in EVIL.values():
            for instance, study in ((value, b"1.2.9"), (b"1.2.8", value), (value, value)):
                data = dataset(instance, study)
                await peer.send(command_pdu(command(instance)) + dataset_pdus(data))
                stored += await peer.status() == Status.SUCCESS
        assert stored > 2 * len(EVIL)
    assert is_contained(folder, tmp_path)
    assert sum(path.is_file() for path in folder.rglob("*")) > len(EVIL)


async def test_no_two_evil_names_are_one(tmp_path: Path) -> None:
    """Whoever is sanitized to another's name would replace the other's object."""
    async with attacked(store=FileStorage(tmp_path)) as server, Peer(server.port) as peer:
        await peer.associate()
        for value in EVIL.values():
            await peer.send(command_pdu(command(value)) + dataset_pdus(dataset(value, b"1")))
            assert await peer.status() == Status.SUCCESS
        assert len(visible(tmp_path)) == len({v.rstrip(b"\0 ") for v in EVIL.values()})


@pytest.mark.parametrize("value", [b"", b"\0\0", b"  ", b" \0"])
async def test_no_instance_uid_is_no_name(value: bytes, tmp_path: Path) -> None:
    async with attacked(store=FileStorage(tmp_path)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command(value)) + dataset_pdus(dataset(value, b"1.2")))
        assert await peer.status() == Status.INVALID_SOP_INSTANCE
        assert not visible(tmp_path)


@pytest.mark.parametrize("title", ["../../x", "/tmp", "..", "a\nb", "\x1b[2J", "$(id)", "`x`"])
async def test_no_ae_title_is_a_name(title: str, tmp_path: Path) -> None:
    folder = tmp_path / "received"
    request = association_request(
        calling=title, called=title, more=[ImplementationVersionName(title * 3)]
    )
    async with attacked(store=FileStorage(folder)) as server, Peer(server.port) as peer:
        await peer.associate(request)
        assert await peer.store("1.2.3") == Status.SUCCESS
    assert is_contained(folder, tmp_path)
    assert sorted(path.name for path in folder.glob("CT*")) == ["CT.1.2.3", "CT.1.2.3.4"]


async def test_who_is_aborted_destroys_no_object_of_that_name(tmp_path: Path) -> None:
    """Others delete what was there before the new object has come."""
    async with attacked(store=FileStorage(tmp_path)) as server:
        async with Peer(server.port) as peer:
            await peer.associate()
            assert await peer.store("1.2.3") == Status.SUCCESS
            before = (tmp_path / "CT.1.2.3").read_bytes()
            await peer.begin_store("1.2.3", dataset(b"1.2.3", b"1")[:30])
            await peer.abort()
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.begin_store("1.2.3", dataset(b"1.2.3", b"1") + bytes(100_000))
            peer.reset()
    assert (tmp_path / "CT.1.2.3").read_bytes() == before
