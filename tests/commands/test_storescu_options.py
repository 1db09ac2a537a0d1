"""storescu: how its options are written, and what it says when."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from aiodicom import storescu
from aiodicom.wire.identity import __version__
from aiodicom.wire.items import UserIdentity
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tests.commands.sending import Recorder, answered, recorded, run
from tests.peer import CT, PATIENCE
from tests.processes import free_port, run_command
from tests.scripted_acceptor import accepting, write_object

Capture = pytest.CaptureFixture[str]

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
ELE, EBE, ILE = EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE


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
