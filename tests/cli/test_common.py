"""What the commands share: exit codes, the log, limits."""

from __future__ import annotations

import errno
import logging
import os
import resource
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aiodicom.cli import common
from aiodicom.cli.common import GENERAL, main, network_options, raise_open_files_limit, timeouts_of
from aiodicom.cli.options import Command
from aiodicom.wire.identity import __version__

COMMAND = Command(
    "example", "shows what commands share", {}, (GENERAL,), {"level": logging.WARNING}
)

logger = logging.getLogger("aiodicom.example")

Capture = pytest.CaptureFixture[str]


def say_everything(settings: dict[str, object]) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, level)("a %s line", level)


def run(*arguments: str, act: Callable[[dict[str, Any]], None] = say_everything) -> int:
    return main(COMMAND, act, arguments)


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",), ("-v", "-h"), ("--bad", "-h")])
def test_usage_goes_to_standard_output(capfd: Capture, arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 0
    out, err = capfd.readouterr()
    assert out.startswith(f"aiodicom example {__version__}: shows what commands share\n\nusage: ")
    assert err == ""


def test_version(capfd: Capture) -> None:
    assert run("--version") == 0
    assert capfd.readouterr() == (f"aiodicom example {__version__}\n", "")


def test_wrong_command_line_is_one_line_that_names_the_remedy(capfd: Capture) -> None:
    assert run("--loud") == 1
    assert capfd.readouterr() == (
        "",
        "error: unknown option --loud; see python -m aiodicom.example --help\n",
    )


ALL = ["D", "I", "W", "E", "F"]


@pytest.mark.parametrize(
    ("options", "letters"),
    [
        ("-ll warn", "WEF"),
        ("-q", ""),
        ("-v", "IWEF"),
        ("-d", "DIWEF"),
        ("-ll trace", "DIWEF"),
        ("-ll debug", "DIWEF"),
        ("-ll info", "IWEF"),
        ("-ll warning", "WEF"),
        ("-ll ERROR", "EF"),
        ("-ll critical", "F"),
        ("-ll fatal", "F"),
        ("--log-level=fatal", "F"),
        ("-q -v", "IWEF"),
        ("-v -q", ""),
        ("-d -ll error", "EF"),
    ],
)
def test_level(capfd: Capture, options: str, letters: str) -> None:
    assert run(*options.split()) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.endswith(" line")]
    words = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "critical"}
    assert lines == [f"{letter}: a {words[letter]} line" for letter in letters]


def test_level_that_there_is_not(capfd: Capture) -> None:
    assert run("-ll", "loud") == 1
    err = capfd.readouterr().err
    assert err.startswith("error: option -ll: 'loud' is no level: fatal, ")
    assert err.count("\n") == 1


def test_debug_begins_with_the_commands_name_and_version(capfd: Capture) -> None:
    run("-d", act=lambda settings: None)
    assert capfd.readouterr().err == f"D: example v{__version__}\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EACCES, "cannot store in /x: Permission denied"),
         "F: cannot store in /x: Permission denied\n"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x/y"),
         "F: /x/y: No such file or directory\n"),
        (OSError("what no number was given for"), "F: what no number was given for\n"),
    ],
)  # fmt: skip
def test_command_that_cannot_start_says_why(capfd: Capture, error: OSError, line: str) -> None:
    def fail(settings: dict[str, object]) -> None:
        raise error

    assert run("-v", act=fail) == 1
    assert capfd.readouterr() == ("", line)


def test_traceback_of_what_is_logged_with_one(capfd: Capture) -> None:
    def fail(settings: dict[str, object]) -> None:
        try:
            raise KeyError("gone")
        except KeyError:
            logger.exception("The handler failed")

    run("-v", act=fail)
    err = capfd.readouterr().err
    assert err.startswith("E: The handler failed\nTraceback")
    assert err.endswith("KeyError: 'gone'\n")


def test_phrases_are_replaced_and_left_out(capfd: Capture) -> None:
    def act(settings: dict[str, object]) -> None:
        logger.info("Association Received")
        logger.info("Association Accepted")
        logger.info("Received Echo Request (MsgID %s)", 7)

    phrases = {"Association Received": "Accepting Association", "Association Accepted": None}
    main(COMMAND, act, ["-v"], phrases)
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["I: Accepting Association", "I: Received Echo Request (MsgID 7)"]


def test_log_is_taken_down_afterwards(capfd: Capture) -> None:
    before = logging.getLogger("aiodicom").handlers[:]
    threads = threading.active_count()
    for _ in range(2):
        run("-v")
    assert logging.getLogger("aiodicom").handlers == before
    assert threading.active_count() == threads
    assert capfd.readouterr().err.count("I: a info line") == 2


def test_lines_that_nobody_reads_are_bounded_and_dropped(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    write = os.write

    def stuck(descriptor: int, data: bytes) -> int:
        assert may_go_on.wait(20)
        return write(descriptor, data)

    def act(settings: dict[str, object]) -> None:
        for number in range(100):
            logger.info("line %d", number)
        may_go_on.set()

    monkeypatch.setattr(common, "LOG_QUEUE", 10)
    monkeypatch.setattr(os, "write", stuck)
    assert run("-v", act=act) == 0
    monkeypatch.undo()
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "I: line 0"
    assert 10 <= len(lines) <= 12


def test_open_files_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        raise_open_files_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_timeouts_of_a_command_line() -> None:
    timeouts = timeouts_of({"association": 30.0, "dimse": None, "network": 0.5})
    assert (timeouts.association, timeouts.dimse, timeouts.network) == (30.0, None, 0.5)


def test_network_options_tell_a_commands_own_defaults() -> None:
    helps = "\n".join(o.help for o in network_options("MY_SCP", "7", "8", 9999).options)
    for text in ("default: MY_SCP", "default: 7", "default: 8", "default: 9999"):
        assert text in helps
