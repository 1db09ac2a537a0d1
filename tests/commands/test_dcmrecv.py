"""dcmrecv: what each of its options changes, and what it ends with."""

from __future__ import annotations

import datetime
import os
import re
import socket
import time
from pathlib import Path

import pytest

from aiodicom import dcmrecv
from aiodicom.cli.common import Failed
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import Abort
from tests.commands.running import (
    answers,
    connected,
    files,
    running,
    settings_of,
    store,
    study_dataset,
)
from tests.peer import CT, Peer, association_request
from tests.processes import dataset_of, free_port, run_command, visible

UID, NAME = "1.2.3", "CT.1.2.3"
JPEG = "1.2.840.10008.1.2.4.50"

PROFILE = """
[[TransferSyntaxes]]
[Little]
TransferSyntax1 = LittleEndianImplicit
[[PresentationContexts]]
[CT]
PresentationContext1 = CTImageStorage\\Little
[[Profiles]]
[Default]
PresentationContexts = CT
"""


@pytest.fixture
def profile(tmp_path: Path) -> str:
    file = tmp_path / "storage.cfg"
    file.write_text(PROFILE)
    return str(file)


# Negotiation --------------------------------------------------------------------------------------


async def test_without_a_profile_every_storage_class_is_accepted(tmp_path: Path) -> None:
    async with running(dcmrecv, "-od", str(tmp_path)) as server:
        made = await answers(
            server.port, (VERIFICATION, IMPLICIT_LITTLE), (CT, JPEG, IMPLICIT_LITTLE)
        )
    assert made == [(0, IMPLICIT_LITTLE), (0, JPEG)]


async def test_a_profile_is_all_that_is_accepted(tmp_path: Path, profile: str) -> None:
    async with running(dcmrecv, "-xf", profile, "default", "-od", str(tmp_path)) as server:
        made = await answers(
            server.port,
            (CT, EXPLICIT_LITTLE, IMPLICIT_LITTLE),
            (VERIFICATION, IMPLICIT_LITTLE),
            (CT, EXPLICIT_LITTLE),
        )
    assert made == [(0, IMPLICIT_LITTLE), (3, ""), (4, "")]


async def test_with_a_profile_an_association_without_a_context_is_rejected(
    tmp_path: Path, profile: str
) -> None:
    proposed = [ProposedContext.of(1, VERIFICATION, IMPLICIT_LITTLE)]
    async with connected(dcmrecv, "-xf", profile, "default", "-od", str(tmp_path)) as peer:
        assert await peer.rejected(association_request(proposed)) == (1, 1, 1)
    async with connected(dcmrecv, "-od", str(tmp_path)) as peer:
        await peer.associate(association_request([ProposedContext.of(1, "1.2.840.10008.9")]))


@pytest.mark.parametrize("options", [(), ("-uca",), ("--use-called-aetitle",), ("-aet", "MINE")])
async def test_the_answer_is_in_the_called_ae_title_s_name(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    async with connected(dcmrecv, *options, "-od", str(tmp_path)) as peer:
        accept = await peer.associate(association_request(called="WHOEVER"))
    assert accept.called_ae_title == "WHOEVER"


async def test_our_ae_title_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(dcmrecv, "-v", "-od", str(tmp_path)) as server:
        assert f"Listening on port {server.port} as DCMRECV" in caplog.messages
    async with running(dcmrecv, "-v", "-aet", "MINE", "-od", str(tmp_path)) as server:
        assert f"Listening on port {server.port} as MINE" in caplog.messages


async def test_verbose_contexts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(dcmrecv, "-v", "+v", "-od", str(tmp_path)) as server:
        await answers(server.port, (CT, EXPLICIT_LITTLE))
    assert "  Context ID:        1 (Accepted)" in caplog.messages


@pytest.mark.parametrize(("options", "size"), [((), 16384), (("-pdu", "65536"), 65536)])
async def test_the_maximum_length_is_told(
    tmp_path: Path, options: tuple[str, ...], size: int
) -> None:
    async with connected(dcmrecv, *options, "-od", str(tmp_path)) as peer:
        assert (await peer.associate()).maximum_length == size


@pytest.mark.parametrize(("option", "is_idle"), [("-td", False), ("-tn", True), ("-ts", True)])
async def test_silence_lasts_as_long_as_the_deadline(
    tmp_path: Path, option: str, is_idle: bool
) -> None:
    async with connected(dcmrecv, option, "0.2", "-od", str(tmp_path)) as peer:
        await peer.associate()
        begun = time.monotonic()
        if not is_idle:
            await peer.begin_store(UID, b"\1\2")
        assert await peer.aborted() == Abort(2, 0)
        assert 0.1 < time.monotonic() - begun < 5
    assert visible(tmp_path) == []


async def test_a_request_is_waited_for_as_long_as_the_acse_timeout(tmp_path: Path) -> None:
    async with connected(dcmrecv, "-ta", "0.2", "-od", str(tmp_path)) as peer:
        begun = time.monotonic()
        assert await peer.closed()
        assert 0.1 < time.monotonic() - begun < 5


def test_the_deadlines_where_nothing_is_said() -> None:
    settings = settings_of(dcmrecv)
    assert (settings["association"], settings["dimse"], settings["network"]) == (30, None, 60)


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "-B", "+B", "--normal", "--bit-preserving", "-dhl -s"])
async def test_a_file_has_the_dataset_byte_for_byte(tmp_path: Path, options: str) -> None:
    async with running(dcmrecv, *options.split(), "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    assert files(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == study_dataset(UID)


async def test_ignore_stores_nothing(tmp_path: Path) -> None:
    async with running(dcmrecv, "--ignore", "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    assert files(tmp_path) == []


async def test_the_rightmost_storage_mode_counts(tmp_path: Path) -> None:
    async with running(dcmrecv, "--ignore", "+B", "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    assert files(tmp_path) == [NAME]


@pytest.mark.parametrize("options", [("+ssd",), ("+ssd", "+B"), ("-s", "--series-date-subdir")])
async def test_subdirectories_of_the_series_date(tmp_path: Path, options: tuple[str, ...]) -> None:
    async with connected(dcmrecv, *options, "-od", str(tmp_path)) as peer:
        await peer.associate()
        dated = study_dataset("1.2.1", date=b"20240229")
        assert await peer.store("1.2.1", dated) == Status.SUCCESS
        before = datetime.datetime.now().astimezone()
        assert await peer.store("1.2.2", study_dataset("1.2.2")) == Status.SUCCESS
        after = datetime.datetime.now().astimezone()
    todays = {f"undef/{day:%Y%m%d}/CT.1.2.2" for day in (before, after)}
    first, second = files(tmp_path)
    assert first == "data/2024/02/29/CT.1.2.1"
    assert second in todays
    assert dataset_of(tmp_path / first) == dated


@pytest.mark.parametrize(
    ("option", "pattern", "count"),
    [
        ("+fd", r"CT\.1\.2\.3", 1),
        ("--default-filenames", r"CT\.1\.2\.3", 1),
        ("+fu", r"CT\.X\.2\.25\.\d+", 2),
        ("--unique-filenames", r"CT\.X\.2\.25\.\d+", 2),
        ("+fsu", r"CT_[0-9a-f]{16}", 2),
        ("--short-unique-names", r"CT_[0-9a-f]{16}", 2),
        ("+fst", r"\d{14}\.\d{6}(_\d{4})?\.CT", 2),
        ("--system-time-names", r"\d{14}\.\d{6}(_\d{4})?\.CT", 2),
    ],
)
async def test_names(tmp_path: Path, option: str, pattern: str, count: int) -> None:
    async with running(dcmrecv, option, "-od", str(tmp_path)) as server:
        await store(server.port, UID, UID)
    assert len(visible(tmp_path)) == count
    assert all(re.fullmatch(pattern, name) for name in visible(tmp_path))


async def test_a_duplicate_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(dcmrecv, "-od", str(tmp_path)) as server:
        await store(server.port, UID, UID)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == [f"DICOM file existed and was replaced: {NAME}"]


@pytest.mark.parametrize("option", ["-fe", "--filename-extension"])
async def test_the_extension(tmp_path: Path, option: str) -> None:
    async with running(dcmrecv, option, ".dcm", "+fsu", "-od", str(tmp_path)) as server:
        await store(server.port, UID)
    (name,) = visible(tmp_path)
    assert re.fullmatch(r"CT_[0-9a-f]{16}\.dcm", name)


# Exit codes ---------------------------------------------------------------------------------------


def failure(*options: str) -> Failed:
    settings = settings_of(dcmrecv, *options)
    with pytest.raises(Failed) as caught:
        dcmrecv.make_server(settings)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("more", [(), ("--ignore",)])
def test_a_folder_that_is_not_there(tmp_path: Path, more: tuple[str, ...]) -> None:
    folder = tmp_path / "missing"
    failed = failure("-od", str(folder), *more)
    assert (str(failed), failed.code) == (
        f"output directory {folder} does not exist: make it first",
        45,
    )
    assert not folder.exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = failure("-od", str(tmp_path / "file"))
    assert str(failed).endswith("is no directory")
    assert failed.code == 45


def test_a_folder_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    failed = failure("-od", str(tmp_path))
    assert str(failed).endswith("cannot be written to")
    assert failed.code == 45


async def test_a_folder_that_fails_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    with pytest.raises(Failed, match="cannot store in ") as caught:
        async with running(dcmrecv, "-od", "/proc/self"):
            pass
    assert caught.value.code == 45


def test_a_profile_that_is_not_there(tmp_path: Path, profile: str) -> None:
    assert failure("-od", str(tmp_path), "-xf", str(tmp_path / "no.cfg"), "default").code == 66
    failed = failure("-od", str(tmp_path), "-xf", profile, "other")
    assert failed.code == 66
    assert "no profile other" in str(failed)


def test_keys_that_are_not_there(tmp_path: Path) -> None:
    failed = failure("-od", str(tmp_path), "+tls", str(tmp_path / "key"), str(tmp_path / "cert"))
    assert failed.code == 71
    assert "No such file" in str(failed)


def test_exit_codes_of_the_process(tmp_path: Path) -> None:
    done = run_command("dcmrecv", str(free_port()), "-od", "missing", cwd=tmp_path)
    assert done.returncode == 45
    assert done.stderr == "F: output directory missing does not exist: make it first\n"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = run_command("dcmrecv", port, "-ba", "127.0.0.1", cwd=tmp_path)
    assert done.returncode == 64
    assert done.stderr.startswith(f"F: cannot listen on port {port} of 127.0.0.1: ")
    assert done.stderr.count("\n") == 1
    assert run_command("dcmrecv", "11112", "--series-date").returncode == 1


async def test_a_sender_in_mid_dataset_leaves_nothing(tmp_path: Path) -> None:
    async with running(dcmrecv, "-od", str(tmp_path)) as server:
        await store(server.port, UID)
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.begin_store(UID, study_dataset(UID)[:40])
            await peer.abort()
            await peer.half_close()
            assert await peer.closed()
    assert files(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == study_dataset(UID)


def test_what_belongs_to_storescp_is_unknown() -> None:
    with pytest.raises(UsageError, match="unknown option -xe"):
        settings_of(dcmrecv, "-xe")
