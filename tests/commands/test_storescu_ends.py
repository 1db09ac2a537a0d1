"""storescu: what becomes of files, of associations that end, and of peers that do not answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiodicom.wire.dimse import Status
from aiodicom.wire.pdu import Abort, ReleaseRequest
from tests.commands.sending import Recorder, answered, recorded, run
from tests.peer import CT, PATIENCE, element, uid_value
from tests.processes import free_port, visible
from tests.scripted_acceptor import (
    Acceptor,
    Caller,
    Received,
    accepting,
    granting,
    response,
    sparse_object,
    write_object,
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One event loop is enough: the command has its own."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return write_object(tmp_path, "1.2.3", 2000)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder of three files."""
    folder = tmp_path / "three"
    folder.mkdir()
    for number in range(3):
        write_object(folder, f"1.2.{number}", 1000)
    return folder


def lines(capfd: Capture) -> list[str]:
    out, err = capfd.readouterr()
    assert out == ""
    return err.splitlines()


# Names of files -----------------------------------------------------------------------------------


async def test_rename_leaves_what_was_not_sent(three: Path) -> None:
    recorder = Recorder(Status.SUCCESS, 0xA700)
    assert await answered(recorder, "+rn", three) == 167
    assert visible(three) == ["1.2.0.dcm.done", "1.2.1.dcm.bad", "1.2.2.dcm"]


async def test_rename_where_nobody_is_there(three: Path) -> None:
    assert await run(free_port(), "+rn", three) == 1
    assert visible(three) == ["1.2.0.dcm", "1.2.1.dcm", "1.2.2.dcm"]


async def test_rename_of_what_was_sent_several_times(three: Path) -> None:
    recorder = Recorder(0xA700, Status.SUCCESS)  # both to the first file
    assert await answered(recorder, "--rename", "-nh", "--repeat", "2", three) == 167
    assert visible(three) == ["1.2.0.dcm.bad", "1.2.1.dcm.done", "1.2.2.dcm.done"]


async def test_an_unusable_file_stops_everything_before_it_begins(
    three: Path, capfd: Capture
) -> None:
    (three / "text").write_text("This is no object, and long enough to be seen as none.")
    assert await run(1, three) == 1  # port 1: nobody is asked
    said = lines(capfd)
    assert len(said) == 2
    assert said[0].startswith(f"E: Store Failed, file: {three}/text: not a DICOM file")
    assert said[1] == "F: nothing is sent because of that: --no-halt sends the other files"
    assert await run(1, three / "text", "+rn") == 1
    assert len(lines(capfd)) == 1  # there are no others
    assert (three / "text").exists()


async def test_uids_padded_with_spaces(tmp_path: Path) -> None:
    data = element(0x00080016, b"UI", uid_value(CT)) + element(0x00080018, b"UI", b"1.2.33  ")
    path = write_object(tmp_path, "1.2.33", data=data)
    for options in ((), ("-up",), ("--uid-padding",)):
        recorder = await recorded(path, *options)
        assert recorder.uids == ["1.2.33"]
        assert recorder.objects[0].data == data


# Associations that end ----------------------------------------------------------------------------


async def test_an_association_that_ends_and_is_the_last(three: Path, capfd: Capture) -> None:
    """Nobody listens any more, and what was not answered cannot be sent."""

    async def script(caller: Caller) -> None:
        await caller.accept()
        received = await caller.store()
        server.close()
        await caller.send(response(received), Abort(0, 0))
        await caller.gone()

    acceptor = Acceptor(script)
    server = await asyncio.start_server(acceptor.connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await run(port, "-R", three) == 10
    await acceptor.ended()
    assert lines(capfd) == [
        f"F: Association Failed: cannot connect to 127.0.0.1:{port}: Connection refused",
        "E: 2 of 3 files are not stored",
        "E:   2: not sent after that",
    ]


async def test_an_association_that_ends_and_is_followed_by_another(three: Path) -> None:
    uids: list[str] = []

    async def short(caller: Caller) -> None:
        await caller.accept()
        received = await caller.store()
        uids.append(received.uid)
        await caller.send(response(received), Abort(0, 0))
        await caller.gone()

    async def friendly(caller: Caller) -> None:
        await caller.accept()
        uids.extend(received.uid for received in await caller.serve())

    async with accepting(short, friendly) as acceptor:
        assert await run(acceptor.port, three) == 0
    assert uids == ["1.2.0", "1.2.1", "1.2.2"]


# Waiting ------------------------------------------------------------------------------------------


async def test_several_requests_are_unanswered_where_that_is_agreed_on(three: Path) -> None:
    outstanding: list[Received] = []

    async def script(caller: Caller) -> None:
        await caller.accept(16384, granting(3))
        outstanding.extend([await caller.store() for _ in range(3)])
        for received in reversed(outstanding):
            await caller.respond(received)
        await caller.released()

    assert await answered(script, three, "--window", "3") == 0
    assert len({received.message_id for received in outstanding}) == 3


@pytest.mark.parametrize("option", ["-tn", "--network-timeout", "--socket-timeout"])
async def test_deadline_of_what_nobody_takes(tmp_path: Path, capfd: Capture, option: str) -> None:
    path = sparse_object(tmp_path, "1.2.3", 32 << 20)

    async def script(caller: Caller) -> None:
        await caller.accept()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            async with asyncio.timeout(PATIENCE):
                await finished.wait()
        finally:
            caller.cut()

    finished = asyncio.Event()
    async with accepting(script, receive_buffer=1 << 16) as acceptor:
        assert await run(acceptor.port, path, option, "0.2") == 10
        finished.set()
    assert any("the peer does not take what is sent to it" in line for line in lines(capfd))


async def test_deadline_of_the_release(ct: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.expect(ReleaseRequest())
        await caller.aborted()

    assert await answered(script, ct, "-ta", "0.1") == 0  # which has all been stored


async def test_versions_of_ip(ct: Path, capfd: Capture) -> None:
    for options in (("-i4",), ("--ipv4",), ("-i6", "-i4"), ("-i6", "-i0"), ("--ip-auto",)):
        await recorded(ct, *options)
    assert lines(capfd) == []
    for option in ("-i6", "--ipv6"):
        recorder = Recorder()
        async with accepting(recorder) as acceptor:
            assert await run(acceptor.port, ct, option) == 1
        assert recorder.requests == []
        (line,) = lines(capfd)
        assert line.startswith("F: ")
        assert f"cannot connect to 127.0.0.1:{acceptor.port}: " in line
    assert await run(free_port(), ct, "-i4", host="::1") == 1
    assert "Connection refused" not in lines(capfd)[0]
