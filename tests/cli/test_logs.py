"""The commands' log: levels, lines that nobody reads, configuration files."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiodicom.cli import logs
from aiodicom.cli.common import (
    DEFAULTS,
    GENERAL,
    GENERAL_OF_RECEIVERS,
    GENERAL_OF_STORESCU,
    main,
)
from aiodicom.cli.logs import check_verbosity
from aiodicom.cli.options import Command, UsageError

COMMAND = Command("example", "shows what commands share", {}, (GENERAL,), DEFAULTS)

logger = logging.getLogger("aiodicom.example")

Capture = pytest.CaptureFixture[str]


def say_everything(settings: dict[str, object]) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, level)("a %s line", level)


def run(*arguments: str, act: Callable[[dict[str, Any]], int | None] = say_everything) -> int:
    return main(COMMAND, act, arguments)


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
        ("-ll Notset", "DIWEF"),
        ("-ll WARN", "WEF"),
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


def test_log_is_taken_down_afterwards(
    capfd: Capture, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("aiodicom")
    caplog.set_level(logging.ERROR, "aiodicom")
    monkeypatch.setattr(logger, "propagate", True)
    before = logger.handlers[:], logger.level, logger.propagate
    threads = threading.active_count()
    for _ in range(2):
        run("-v")
    assert (logger.handlers, logger.level, logger.propagate) == before
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

    monkeypatch.setattr(logs, "LOG_QUEUE", 10)
    monkeypatch.setattr(os, "write", stuck)
    assert run("-v", act=act) == 0
    monkeypatch.undo()
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "I: line 0"
    assert 10 <= len(lines) <= 12


# Levels and other options -------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["-q", "-v", "-d", "-ll info", "--log-level=warn"])
def test_configuration_file_sets_the_level_itself(capfd: Capture, level: str) -> None:
    assert run("-lc", "log.toml", *level.split()) == 1
    name = {"-q": "quiet", "-v": "verbose", "-d": "debug"}.get(level, "log-level")
    assert capfd.readouterr().err == (
        f"error: --log-config not allowed with --{name}; see python -m aiodicom.example --help\n"
    )


RECEIVER = Command("r", "", {}, (GENERAL_OF_RECEIVERS,), {**DEFAULTS, "verbose_pc": False})
STORESCU = Command("s", "", {}, (GENERAL_OF_STORESCU,), {**DEFAULTS, "verbose_pc": False})


@pytest.mark.parametrize(
    ("command", "line", "level"),
    [
        (RECEIVER, "", logging.WARNING),
        (RECEIVER, "-v +v", logging.INFO),
        (RECEIVER, "+v -d", logging.DEBUG),
        (RECEIVER, "+v -ll info", logging.INFO),
        (STORESCU, "+v", logging.INFO),
        (STORESCU, "+v -v", logging.INFO),
        (STORESCU, "-d +v", logging.DEBUG),
    ],
)
def test_presentation_contexts_are_shown_in_verbose_mode(
    command: Command, line: str, level: int
) -> None:
    settings = command.parse(line.split())
    assert check_verbosity(settings) == level
    assert bool(settings["verbose_pc"]) == ("+v" in line)


@pytest.mark.parametrize(
    ("command", "line"),
    [(RECEIVER, "+v"), (RECEIVER, "+v -q"), (RECEIVER, "+v -v -q"), (RECEIVER, "+v -ll error"),
     (STORESCU, "+v -q"), (STORESCU, "--verbose-pc -ll warn")],
)  # fmt: skip
def test_presentation_contexts_are_not_shown_without_verbose_mode(
    command: Command, line: str
) -> None:
    with pytest.raises(UsageError, match=r"^--verbose-pc only allowed with --verbose$"):
        check_verbosity(command.parse(line.split()))


def test_presentation_contexts_go_with_a_configuration_file() -> None:
    check_verbosity(RECEIVER.parse(["+v", "-lc", "log.toml"]))


# Configuration files ------------------------------------------------------------------------------

SAYING = """
import logging, sys
from aiodicom.cli.common import DEFAULTS, GENERAL, main
from aiodicom.cli.options import Command

logger = logging.getLogger("aiodicom.example")

def act(settings):
    for level in ("debug", "info", "warning"):
        getattr(logger, level)("a %s line", level)
    try:
        raise KeyError("gone")
    except KeyError:
        logger.exception("it failed")
    logger.info("left out")

command = Command("example", "", {}, (GENERAL,), DEFAULTS)
phrases = {"a %s line": "one %s line", "left out": None}
sys.exit(main(command, act, sys.argv[1:], phrases))
"""


def configured(folder: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run a command that logs, in a process of its own: it changes the whole of logging."""
    (folder / name).write_text(text, encoding="utf-8")
    return subprocess.run(
        (sys.executable, "-c", SAYING, "-lc", name),
        capture_output=True, text=True, timeout=20, check=False, cwd=folder,
    )  # fmt: skip


TOML = """
[formatters.plain]
format = "%(name)s %(levelname)s %(message)s"
[handlers.file]
class = "logging.FileHandler"
filename = "example.log"
formatter = "plain"
[handlers.few]
class = "logging.StreamHandler"
level = "ERROR"
[loggers.aiodicom]
level = "INFO"
handlers = ["file"]
[root]
handlers = ["few"]
"""

INI = """
[loggers]
keys = root, aiodicom
[handlers]
keys = file, few
[formatters]
keys = plain
[formatter_plain]
format = %(name)s %(levelname)s %(message)s
[handler_file]
class = FileHandler
args = ("example.log",)
formatter = plain
[handler_few]
class = StreamHandler
level = ERROR
args = (sys.stderr,)
[logger_root]
handlers = few
[logger_aiodicom]
qualname = aiodicom
level = INFO
handlers = file
"""


@pytest.mark.parametrize(("name", "text"), [("log.toml", TOML), ("toml", TOML), ("log.ini", INI)])
def test_configuration_file(tmp_path: Path, name: str, text: str) -> None:
    done = configured(tmp_path, name, text)
    assert (done.returncode, done.stdout) == (0, "")
    log = (tmp_path / "example.log").read_text(encoding="utf-8").splitlines()
    assert log[:3] == [
        "aiodicom.example INFO one info line",
        "aiodicom.example WARNING one warning line",
        "aiodicom.example ERROR it failed",
    ]
    assert log[3].startswith("Traceback")
    assert log[-1] == "KeyError: 'gone'"
    assert done.stderr.startswith("it failed\nTraceback")
    assert done.stderr.count("it failed") == 1


ROOT_ONLY = {
    "toml": '[handlers.all]\nclass = "logging.StreamHandler"\n'
    '[root]\nlevel = "INFO"\nhandlers = ["all"]\n',
    "ini": "[loggers]\nkeys=root\n[handlers]\nkeys=all\n[formatters]\nkeys=\n"
    "[handler_all]\nclass=StreamHandler\nargs=()\n[logger_root]\nlevel=INFO\nhandlers=all\n",
}


@pytest.mark.parametrize("kind", ["toml", "ini"])
def test_loggers_that_a_configuration_does_not_name_go_on(tmp_path: Path, kind: str) -> None:
    done = configured(tmp_path, f"log.{kind}", ROOT_ONLY[kind])
    assert done.stderr.startswith("one info line\none warning line\nit failed\nTraceback")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("log.toml", "version = ", "log configuration log.toml: it is no TOML: "),
        ("log", "anything", "log configuration log: neither TOML ("),
        ("log", "[other]\nkeys = x\n", "log configuration log: it has no [loggers]"),
        ("log", "", "log configuration log: it has none of [handlers], [loggers] and [root]"),
        ("log", '[root]\nhandlers = ["x"]\n',
         "log configuration log: Unable to configure root logger: Unable to add handler 'x': 'x'"),
        ("log", '[handlers.x]\nclass = "logging.FileHandler"\nfilename = "no/such/folder"\n',
         "log configuration log: Unable to configure handler 'x': [Errno 2] No such file or "),
        ("log", '[root]\nlevel = "LOUD"\n', "log configuration log: Unable to configure root"),
        ("log.cfg", "# DCMTK's\nlog4cplus.rootLogger = INFO, console\n",
         "log.cfg is a log4cplus configuration, DCMTK's, and here it is Python's"),
    ],
)  # fmt: skip
def test_configuration_file_that_is_none(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    done = configured(tmp_path, name, text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {complaint}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "why"), [("no.toml", "No such file or directory"), (".", "Is a directory")]
)
def test_configuration_file_that_cannot_be_read(
    capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("-lc", path) == 1
    assert capfd.readouterr().err == f"error: cannot read log configuration {path}: {why}\n"


class Noting(logging.Handler):
    """A handler that notes in which thread it works."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.threads.add(threading.get_ident())


@pytest.fixture
def own_handler() -> Iterator[Noting]:
    handler = Noting()
    package = logging.getLogger("aiodicom")
    package.addHandler(handler)
    yield handler
    package.removeHandler(handler)


def test_configured_handlers_work_in_a_thread_and_are_put_back(
    own_handler: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_configure", lambda path: None)  # as if it had made that handler
    before = logging.getLogger("aiodicom").handlers[:]
    assert run("-lc", "log.toml") == 0
    assert own_handler.threads
    assert threading.get_ident() not in own_handler.threads
    assert logging.getLogger("aiodicom").handlers == before
