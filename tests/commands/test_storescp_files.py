"""storescp: its files, their names and folders, and what follows them."""

from __future__ import annotations

import re
import shlex
import socket
import time
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import dcmrecv, storescp
from aiodicom.cli.common import Failed
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from tests.commands.running import (
    connected,
    files,
    running,
    settings_of,
    store,
    study_dataset,
)
from tests.peer import (
    CT,
    Peer,
    element,
    store_pdus,
)
from tests.processes import dataset_of, visible
from tests.serving import until
from tests.storage.faults import record

UID, NAME = "1.2.3", "CT.1.2.3"


def notes_of(*options: str) -> tuple[str, ...]:
    return tuple(settings_of(storescp, *options)["notes"])


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "-B", "+B", "--normal", "+F", "+t= -p +g= +u +e -uc -up"])
async def test_a_file_has_the_dataset_byte_for_byte(tmp_path: Path, options: str) -> None:
    async with running(storescp, *options.split(), "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    assert dataset_of(tmp_path / NAME) == study_dataset(UID)


async def test_a_dataset_without_file_meta_information(tmp_path: Path) -> None:
    async with running(storescp, "-F", "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    assert (tmp_path / NAME).read_bytes() == study_dataset(UID)


@pytest.mark.parametrize("command", [storescp, dcmrecv])
@pytest.mark.parametrize(("options", "syncs"), [("", 1), ("durable", 1), ("none", 0)])
async def test_what_success_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: ModuleType, options: str, syncs: int
) -> None:
    given = ("--durability", options) if options else ()
    async with running(command, *given, "-od", str(tmp_path)) as server:
        calls = record(monkeypatch)
        await store(server.port, UID)
    assert [call for call, _ in calls].count("fdatasync") == syncs


def test_a_durability_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="--durability: 'maybe' is neither durable nor none"):
        settings_of(storescp, "--durability", "maybe")


@pytest.mark.parametrize(
    "option",
    ["+te", "+tb", "+ti", "+td", "-u", "+g", "-g", "-e", "+p 4 6", "+uc", "+cl 9"],
)
async def test_a_conversion_has_no_effect_and_that_is_said(tmp_path: Path, option: str) -> None:
    words = option.split()
    (note,) = notes_of(*words)
    assert re.fullmatch(r"--[a-z-]+ has no effect: objects are stored as .* dcmconv", note)
    async with running(storescp, *words, "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    assert dataset_of(tmp_path / NAME) == study_dataset(UID)


@pytest.mark.parametrize(("option", "says"), [("+ac", "firewall"), ("--single-process", "side")])
def test_other_options_without_effect_say_so(option: str, says: str) -> None:
    (note,) = notes_of(option)
    assert says in note
    assert notes_of("-ac", "--fork") == ()


async def test_padded_uids_are_no_mismatch(tmp_path: Path) -> None:
    data = element(0x00080016, b"UI", CT.encode() + b"  ") + element(
        0x00080018, b"UI", UID.encode() + b" "
    )
    async with connected(storescp, "-up", "-od", str(tmp_path)) as peer:
        await peer.associate()
        assert await peer.store(UID, data) == Status.SUCCESS


@pytest.mark.parametrize(
    ("option", "pattern", "count"),
    [
        ("-uf", r"CT\.1\.2\.3", 1),
        ("--default-filenames", r"CT\.1\.2\.3", 1),
        ("+uf", r"CT\.X\.2\.25\.\d+", 2),
        ("--unique-filenames", r"CT\.X\.2\.25\.\d+", 2),
        ("--timenames", r"\d{17}(_\d{4})?\.CT", 2),
    ],
)
async def test_names(tmp_path: Path, option: str, pattern: str, count: int) -> None:
    async with running(storescp, option, "-od", str(tmp_path)) as server:
        await store(server.port, UID, UID)
    assert len(visible(tmp_path)) == count
    assert all(re.fullmatch(pattern, name) for name in visible(tmp_path))


@pytest.mark.parametrize("option", ["-fe", "--filename-extension"])
async def test_the_extension(tmp_path: Path, option: str) -> None:
    async with running(storescp, option, ".dcm", "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    assert visible(tmp_path) == [f"{NAME}.dcm"]


def test_an_extension_that_leaves_the_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="is no extension"):
        settings_of(storescp, "-fe", "/../x")


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (("-su", "P"), r"P_1\.2\.9"),
        (("--sort-on-study-uid", ""), r"1\.2\.9"),
        (("-ss", "P"), r"P_\d{8}_\d{9}"),
        (("--sort-conc-studies", ""), r"\d{8}_\d{9}"),
        (("-sp",), r"Doe_Jo_\d{8}_\d{9}"),
        (("--sort-on-patientname",), r"Doe_Jo_\d{8}_\d{9}"),
        (("+B", "-su", "P"), r"P_1\.2\.9"),
    ],
)
async def test_sorting(tmp_path: Path, options: tuple[str, ...], pattern: str) -> None:
    async with running(storescp, *options, "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    (found,) = files(tmp_path)
    folder, name = found.split("/")
    assert re.fullmatch(pattern, folder)
    assert name == NAME


async def test_the_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    async with running(storescp, "-od", str(folder)) as server:
        await store(server.port, UID)
    assert visible(folder) == [NAME]


async def test_a_folder_that_cannot_be_made_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failed, match=r"cannot store in .*file/a: ") as caught:
        async with running(storescp, "-od", str(tmp_path / "file" / "a")):
            pass
    assert caught.value.code == 1


# Commands -----------------------------------------------------------------------------------------


def recorder(folder: Path) -> tuple[str, Path]:
    """A command that writes down its words, and where it does."""
    script, lines = folder / "record", folder / "lines"
    script.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> {shlex.quote(str(lines))}\n')
    script.chmod(0o755)
    return str(script), lines


async def test_a_command_for_each_object(tmp_path: Path) -> None:
    command, lines = recorder(tmp_path)
    out = tmp_path / "out"
    async with running(
        storescp, "-dhl", "-xs", "-xcr", f"{command} #p #f #a #c #r", "-od", str(out)
    ) as server:
        await store(server.port, UID)
        assert lines.read_text() == f"{out}|{NAME}|PEER|ANY-SCP|127.0.0.1|"


async def test_the_response_does_not_wait_for_the_command_unless_asked_to(tmp_path: Path) -> None:
    gate, done = tmp_path / "gate", tmp_path / "done"
    script = tmp_path / "wait"
    script.write_text(f"#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.02; done\ntouch {done}\n")
    script.chmod(0o755)
    for more in ((), ("-xs",)):
        for path in (gate, done):
            path.unlink(missing_ok=True)
        options = ("-xcr", str(script), *more, "-od", str(tmp_path / "out"))
        async with running(storescp, *options) as server, Peer(server.port) as peer:
            await peer.associate()
            await peer.send(store_pdus(UID))
            if more:
                assert await peer.hears_nothing(0.1)
                gate.touch()
                assert await peer.status() == Status.SUCCESS
                assert done.exists()
            else:
                assert await peer.status() == Status.SUCCESS
                assert not done.exists()
                gate.touch()
            await peer.release()
        assert done.exists()  # it is waited for when the command stops


async def test_the_host_s_name_is_looked_up_unless_told_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostbyaddr", lambda address: ("pc7.example.org", [], []))
    command, lines = recorder(tmp_path)
    options = ("-xs", "-xcr", f"{command} #r", "-od", str(tmp_path / "out"))
    async with running(storescp, *options) as server:
        await store(server.port, UID)
    async with running(storescp, "-dhl", *options) as server:
        await store(server.port, UID)
    assert lines.read_text() == "pc7|127.0.0.1|"


async def test_a_study_ends_with_another_one(tmp_path: Path) -> None:
    command, lines = recorder(tmp_path)
    out = tmp_path / "out"
    async with running(
        storescp, "-su", "S", "-xcs", f"{command} #p #a #c", "-od", str(out)
    ) as server:
        await store(server.port, "1.1", "1.2", study="1.5")
        await store(server.port, "1.3", study="1.6")
        await until(lines.exists)
        assert lines.read_text() == f"{out}/S_1.5|PEER|ANY-SCP|"
    assert lines.read_text().endswith(f"{out}/S_1.6|PEER|ANY-SCP|")  # with the receiver's end


async def test_a_study_ends_after_a_time_without_an_object(tmp_path: Path) -> None:
    command, lines = recorder(tmp_path)
    out = tmp_path / "out"
    options = ("-su", "S", "-tos", "1", "-xcs", f"{command} #p", "-od", str(out))
    async with running(storescp, *options) as server:
        begun = time.monotonic()
        await store(server.port, "1.1", study="1.5")
        await store(server.port, "1.2", study="1.6")
        assert not lines.exists()
        await until(lambda: lines.exists() and lines.read_text().count("|") == 2)
        assert time.monotonic() - begun >= 1
    assert sorted(lines.read_text().split("|")) == ["", f"{out}/S_1.5", f"{out}/S_1.6"]


async def test_files_of_an_ended_study_are_renamed(tmp_path: Path) -> None:
    async with running(storescp, "-su", "S", "-rns", "-od", str(tmp_path)) as server:
        await store(server.port, "1.1", "1.2", study="1.5")
        await store(server.port, "1.3", study="1.6")
        await until(lambda: (tmp_path / "S_1.5" / "CT000002").exists())
        assert files(tmp_path) == ["S_1.5/CT000001", "S_1.5/CT000002", "S_1.6/CT.1.3"]
    assert files(tmp_path)[2] == "S_1.6/CT000001"


async def test_two_senders_at_once_do_not_end_each_other_s_studies(tmp_path: Path) -> None:
    async with (
        running(storescp, "-ss", "", "-od", str(tmp_path)) as server,
        Peer(server.port) as one,
        Peer(server.port) as two,
    ):
        await one.associate()
        await two.associate()
        for number in range(3):
            for peer, study in ((one, "1.5"), (two, "1.6")):
                uid = f"{study}.{number}"
                assert await peer.store(uid, study_dataset(uid, study)) == Status.SUCCESS
    assert len({name.split("/")[0] for name in files(tmp_path)}) == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("-xcs x", "--exec-on-eostudy only allowed with --sort-conc-studies or "),
        ("-rns", "--rename-on-eostudy only allowed with --sort-conc-studies or "),
        ("-tos 3", "--eostudy-timeout only allowed with --sort-conc-studies or "),
        ("--ignore -xcr true", "--ignore not allowed with --exec-on-reception"),
        ("-xcr #f", "a value cannot be the command"),
        ("--max-associations 0", "0 is not 1 or more"),
        ("+cf x", "--add-cert-file only allowed with --enable-tls"),
    ],
)
def test_options_that_do_not_go_together(options: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        settings_of(storescp, *options.split())
