"""storescu: how its options are written, what it says when, and how it waits."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from aiodicom import storescu
from aiodicom.wire.dimse import Status
from aiodicom.wire.identity import __version__
from aiodicom.wire.items import UserIdentity
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from aiodicom.wire.pdu import ReleaseRequest
from tests.acceptor import Caller, Received, accepting, granting, sparse_object, write_object
from tests.commands.sending import Recorder, answered, recorded, run
from tests.peer import CT, PATIENCE, element, uid_value
from tests.processes import free_port, run_command, visible

Capture = pytest.CaptureFixture[str]

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
ELE, EBE, ILE = EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE


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


# How options are written --------------------------------------------------------------------------


def titles(recorder: Recorder) -> tuple[str, str]:
    (request,) = recorder.requests
    return request.calling_ae_title, request.called_ae_title


async def test_words_in_a_command_file(tmp_path: Path, ct: Path, capfd: Capture) -> None:
    words = tmp_path / "words"
    words.write_text("-aet ME\n  -aec 'MY ARCHIVE'\n\t--repeat=2")
    recorder = await recorded(f"@{words}", ct, "-aet", "ANOTHER")
    assert titles(recorder) == ("ANOTHER", "MY ARCHIVE")
    assert recorder.uids == ["1.2.3"] * 2
    assert await run(1, f"@{tmp_path}/none", ct) == 1
    assert lines(capfd) == [
        f"error: cannot open command file {tmp_path}/none: No such file or directory"
    ]


async def test_values_after_an_equals_sign(ct: Path) -> None:
    recorder = await recorded("--ae-title=ME", "--called-aet=YOU", "--repeat=2", ct)
    assert titles(recorder) == ("ME", "YOU")
    assert len(recorder.objects) == 2


async def test_the_rightmost_counts(ct: Path) -> None:
    assert titles(await recorded(ct, "-aet", "A", "--aetitle", "B")) == ("B", "ANY-SCP")
    assert (await recorded(ct, "-xs", "-xi")).proposed(CT) == [(ILE,)]
    assert (await recorded(ct, "-xb", "--propose-lossless")).proposed(CT) == [
        (JPEG_LOSSLESS,),
        (ELE, EBE, ILE),
    ]
    recorder = await recorded(ct, "-usr", "jo", "-usr", "jim", "-pwd", "a", "-epw")
    assert recorder.requests[0].user_item(UserIdentity) == UserIdentity(2, 0, b"jim", b"")


async def test_options_after_the_files_and_between_them(tmp_path: Path, ct: Path) -> None:
    second = write_object(tmp_path, "1.2.4")
    recorder = await recorded("-aet", "ME", ct, "-aec", "YOU", second, "-R")
    assert titles(recorder) == ("ME", "YOU")
    assert recorder.uids == ["1.2.3", "1.2.4"]
    assert {context.abstract_syntax for context in recorder.contexts} == {CT}


async def test_the_expanded_command_line(tmp_path: Path, ct: Path, capfd: Capture) -> None:
    words = tmp_path / "words"
    words.write_text("--arguments -R")
    await recorded(f"@{words}", ct)
    (line,) = lines(capfd)
    assert line.startswith("I: calling 'storescu' with 5 arguments: '127.0.0.1' ")
    assert line.endswith(f" '--arguments' '-R' '{ct}'")


@pytest.mark.parametrize(("words", "begin"), [
    (["--version"], f"aiodicom storescu {__version__}\n"),
    ([], f"aiodicom storescu {__version__}: sends objects\n\nusage: "),
    (["-h"], f"aiodicom storescu {__version__}: sends objects\n\nusage: "),
    (["host", "--bogus", "--help"], f"aiodicom storescu {__version__}: sends objects\n\nusage: "),
])  # fmt: skip
def test_what_is_asked_for_goes_to_standard_output(
    words: list[str], begin: str, capfd: Capture
) -> None:
    assert storescu.storescu(words) == 0
    out, err = capfd.readouterr()
    assert out.startswith(begin)
    assert err == ""


# What is said -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "letters"),
    [
        ("", "EW"), ("-ll warn", "EW"), ("-ll warning", "EW"), ("-ll error", "E"),
        ("-ll fatal", ""), ("-ll critical", ""), ("-q", ""), ("-v", "EIW"), ("-ll info", "EIW"),
        ("-d", "DEIW"), ("-ll debug", "DEIW"), ("-ll trace", "DEIW"), ("-d -q", ""),
        ("-q --log-level=error", "E"),
    ],
)  # fmt: skip
async def test_levels(three: Path, capfd: Capture, options: str, letters: str) -> None:
    recorder = Recorder(0xB000, 0xA700)
    assert await answered(recorder, three, "-nh", *options.split()) == 167
    assert len(recorder.objects) == 3
    assert "".join(sorted({line[0] for line in lines(capfd)})) == letters


async def test_fatal_lines_are_there_but_for_quiet(ct: Path, capfd: Capture) -> None:
    assert await run(free_port(), ct, "-ll", "fatal") == 1
    (line,) = lines(capfd)
    assert line.startswith("F: ")
    assert await run(free_port(), ct, "--quiet") == 1
    assert lines(capfd) == []


async def test_what_is_negotiated_is_shown_to_who_debugs(ct: Path, capfd: Capture) -> None:
    await recorded(ct, "-d", "-aec", "ARCHIVE")
    said = "\n".join(lines(capfd))
    for words in ("OUTGOING A-ASSOCIATE-RQ", "ARCHIVE", "INCOMING A-ASSOCIATE-AC"):
        assert words in said


LOG = """
[handlers.file]
class = "logging.FileHandler"
filename = "sent.log"
[loggers.aiodicom]
level = "INFO"
handlers = ["file"]
propagate = false
"""


async def test_log_as_configured(tmp_path: Path, ct: Path) -> None:
    (tmp_path / "log.toml").write_text(LOG)
    recorder = Recorder(0xA700)
    async with accepting(recorder) as acceptor:
        words = ("127.0.0.1", str(acceptor.port), "-lc", "log.toml", str(ct))
        done = await asyncio.to_thread(run_command, "storescu", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (167, "", "")
    log = (tmp_path / "sent.log").read_text()
    assert f"Sending file: {ct}\n" in log
    assert f"Store Failed, file: {ct}: 0xA700" in log


async def test_a_level_does_not_go_with_a_configuration(ct: Path, capfd: Capture) -> None:
    assert await run(1, ct, "-lc", "log.toml", "-v") == 1
    (line,) = lines(capfd)
    assert line.startswith("error: --log-config not allowed with --verbose; ")


def progress_said() -> None:
    """Wait until what says lines has said them."""
    for thread in threading.enumerate():
        if thread.name == "aiodicom-progress":
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("option", "is_said"), [("-nh", True), ("-q", False), ("-v", False), ("-d", False)]
)
async def test_progress_in_lines_where_there_is_no_terminal(
    three: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch, option: str, is_said: bool
) -> None:
    monkeypatch.setattr("aiodicom.cli.progress.INTERVAL", 0.0)
    await recorded(three, option)
    progress_said()
    said = [line for line in lines(capfd) if " of 3 files, " in line]
    assert bool(said) is is_said
    assert all("kB of 3.0 kB, " in line and line.endswith(" s left") for line in said)


# Names of files -----------------------------------------------------------------------------------


async def test_rename_leaves_what_was_not_sent(three: Path) -> None:
    recorder = Recorder(Status.SUCCESS, 0xA700)
    assert await answered(recorder, "+rn", three) == 167
    assert visible(three) == ["1.2.0.dcm.done", "1.2.1.dcm.bad", "1.2.2.dcm"]


async def test_rename_where_nobody_is_there(three: Path) -> None:
    assert await run(free_port(), "+rn", three) == 1
    assert visible(three) == ["1.2.0.dcm", "1.2.1.dcm", "1.2.2.dcm"]


async def test_rename_of_what_was_sent_several_times(three: Path) -> None:
    recorder = Recorder(Status.SUCCESS, 0xA700)  # both to the first file
    assert await answered(recorder, "--rename", "-nh", "--repeat", "2", three) == 167
    assert visible(three) == ["1.2.0.dcm.bad", "1.2.1.dcm.done", "1.2.2.dcm.done"]


async def test_an_unusable_file_stops_everything_before_it_begins(
    three: Path, capfd: Capture
) -> None:
    (three / "text").write_text("This is no object, and long enough to be seen as none.")
    assert await run(1, three) == 1  # port 1: nobody is asked
    said = lines(capfd)
    assert said[0].startswith(f"E: Store Failed, file: {three}/text: not a DICOM file")
    assert not any("connect" in line for line in said)


async def test_uids_padded_with_spaces(tmp_path: Path) -> None:
    data = element(0x00080016, b"UI", uid_value(CT)) + element(0x00080018, b"UI", b"1.2.33  ")
    path = write_object(tmp_path, "1.2.33", data=data)
    for options in ((), ("-up",), ("--uid-padding",)):
        recorder = await recorded(path, *options)
        assert recorder.uids == ["1.2.33"]
        assert recorder.objects[0].data == data


# Waiting ------------------------------------------------------------------------------------------


async def test_several_requests_are_unanswered_where_that_is_agreed_on(three: Path) -> None:
    outstanding: list[Received] = []

    async def script(caller: Caller) -> None:
        await caller.accept(16384, granting(3))
        for _ in range(3):
            outstanding.append(await caller.store())
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
