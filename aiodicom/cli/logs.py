"""The commands' log: lines on standard error, or what a configuration file says.

Whoever writes a line never waits for whoever reads it: records go through a queue, and what finds
it full is dropped.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import logging.handlers
import os
import queue
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from aiodicom.cli.options import Option, UsageError, excludes

if TYPE_CHECKING:
    import configparser

__all__ = [
    "LEVELS",
    "LOG_OPTIONS",
    "SILENT",
    "VERBOSE_AND_CONTEXTS",
    "VERBOSE_CONTEXTS",
    "LogConfigError",
    "check_verbosity",
    "log_as_configured",
    "log_to_stderr",
]

LEVELS = {
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
    "notset": logging.DEBUG,
}
"""What ``--log-level`` takes: DCMTK's names and Python's. There is nothing below debug."""

SILENT = logging.CRITICAL + 1

LOG_QUEUE = 10_000
"""Lines that wait for whoever reads them; further ones are dropped."""

LAST_LINES = 1.0
"""Seconds that they are waited for in the end."""


def _level(text: str) -> int:
    try:
        return LEVELS[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is no level: {', '.join(LEVELS)}") from None


LOG_OPTIONS = (
    Option(("-q", "--quiet"), "level", "quiet mode, print no warnings and errors", value=SILENT),
    Option(("-v", "--verbose"), "level", "verbose mode, print processing details",
           value=logging.INFO),
    Option(("-d", "--debug"), "level", "debug mode, print debug information",
           value=logging.DEBUG),
    Option(("-ll", "--log-level"), "level",
           "one of fatal, error, warn, info, debug, trace, or Python's critical, warning, notset",
           "[l]evel", _level),
    Option(("-lc", "--log-config"), "log_config",
           "use Python's logging configuration in f, TOML or INI", "[f]ilename"),
)  # fmt: skip

VERBOSE_CONTEXTS = Option(
    ("+v", "--verbose-pc"), "verbose_pc", "show presentation contexts in verbose mode"
)
"""Of receivers: for use with ``-v``, or a level that includes it."""

VERBOSE_AND_CONTEXTS = Option(
    ("+v", "--verbose-pc"),
    "verbose_pc",
    "verbose mode, and show presentation contexts",
    value=logging.INFO,
)
"""Of storescu, whose first version meant verbose mode by it as well."""

_LEVELS_GIVEN = ("--quiet", "--verbose", "--debug", "--log-level")

_no_level_with_configuration = excludes("--log-config", *_LEVELS_GIVEN)


def check_verbosity(settings: Mapping[str, object]) -> int:
    """Return the level of the log that a command line asks for.

    Raises
    ------
    UsageError
        Where its options do not go together, as in DCMTK: a configuration file with a level, or
        presentation contexts without verbose mode.
    """
    given = settings["given"]
    names = given if isinstance(given, frozenset) else frozenset()
    _no_level_with_configuration(names)
    level = settings["level"]
    level = level if isinstance(level, int) else logging.WARNING
    contexts = settings.get("verbose_pc")
    if not contexts or settings.get("log_config") is not None:
        return level
    if contexts is not True and names.isdisjoint(_LEVELS_GIVEN):
        return logging.INFO
    if level > logging.INFO:
        raise UsageError("--verbose-pc only allowed with --verbose")
    return level


# Lines on standard error ------------------------------------------------------------------------


@contextlib.contextmanager
def log_to_stderr(level: int, phrases: Mapping[str, str | None]) -> Iterator[None]:
    """Write what is logged as ``I: ...`` to standard error.

    Parameters
    ----------
    level : int
        The lowest one that is written.
    phrases : mapping
        Messages that are worded differently, or (None) not written.
    """
    logger = logging.getLogger("aiodicom")
    with _writer() as lines:
        handler = _Dropping(lines, functools.partial(_write_line, _stderr()))
        handler.addFilter(_Rephrase(phrases))
        before = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            logger.propagate = before[1]


class _Rephrase(logging.Filter):
    def __init__(self, phrases: Mapping[str, str | None]) -> None:
        super().__init__()
        self._phrases = phrases

    def filter(self, record: logging.LogRecord) -> bool:
        phrase = self._phrases.get(record.msg, record.msg)
        record.msg = phrase
        return phrase is not None


_Write = Callable[[logging.LogRecord], object]
_Queue = queue.Queue[tuple[_Write, logging.LogRecord] | None]


class _Lines:
    """Lines on their way to whoever reads them, and the thread that writes them."""

    def __init__(self) -> None:
        self.queue: _Queue = queue.Queue(LOG_QUEUE)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=_write_lines, args=(self.queue,), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, as far as that is read in time; `start` goes on."""
        thread = self._thread
        if thread is None:
            return
        with contextlib.suppress(queue.Full):
            self.queue.put(None, timeout=LAST_LINES)
            self._thread = None
        thread.join(LAST_LINES)

    def restart(self) -> None:
        """Go on in a process that was just forked, where there is no thread of ours."""
        self.queue = queue.Queue(LOG_QUEUE)  # what waits in the other is the parent's to write
        self._thread = None
        self.start()


class _Dropping(logging.handlers.QueueHandler):
    """Hands records to a thread: a standard error that nobody reads must not stop the loop."""

    def __init__(self, lines: _Lines, write: _Write) -> None:
        super().__init__(lines.queue)
        self._lines = lines
        self._write = write

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.queue.put_nowait((self._write, record))

    def close(self) -> None:
        self._lines.stop()
        super().close()


@contextlib.contextmanager
def _writer() -> Iterator[_Lines]:
    lines = _Lines()
    lines.start()
    _running.append(lines)
    try:
        yield lines
    finally:
        _running.remove(lines)
        lines.stop()


def _write_lines(lines: _Queue) -> None:
    while (item := lines.get()) is not None:
        write, record = item
        write(record)


# A process that forks has no thread meanwhile: it could be holding a lock, a file's for instance,
# that nobody would ever release in the other process.

_running: list[_Lines] = []


def _each(act: Callable[[_Lines], None]) -> None:
    for lines in _running:
        act(lines)


os.register_at_fork(
    before=functools.partial(_each, _Lines.stop),
    after_in_parent=functools.partial(_each, _Lines.start),
    after_in_child=functools.partial(_each, _Lines.restart),
)


# Peers' texts are escaped where they are logged. What an exception of others' says is not.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _write_line(descriptor: int | None, record: logging.LogRecord) -> None:
    """Write a record to standard error.

    No lock of Python's is held while that blocks, neither a stream's nor a handler's: they are
    wanted once more when the process ends, which nobody who does not read must prevent.
    """
    # Marked as the ancestors do: F for what ends the command, else its level's letter.
    letter = "F" if record.levelno >= logging.CRITICAL else record.levelname[0]
    text = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", record.getMessage())
    worker = record.processName or ""
    whose = f"{worker}: " if worker.startswith("worker ") else ""
    line = f"{letter}: {whose}{text}\n".encode(errors="backslashreplace")
    if descriptor is not None and os.isatty(descriptor):
        line = b"\r\x1b[K" + line  # a progress bar may stand there
    with contextlib.suppress(OSError):
        while descriptor is not None and line:
            line = line[os.write(descriptor, line) :]


def _stderr() -> int | None:
    """Return standard error's descriptor, or None where there is none."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):  # closed from the start; not a file
        return None


# A configuration file ---------------------------------------------------------------------------


class LogConfigError(Exception):
    """The log cannot be set up as a file says: why, and the remedy."""


_LOG4CPLUS = (
    "is a log4cplus configuration, DCMTK's, and here it is Python's, in TOML or INI: a "
    "log4cplus.appender.X is a [handlers.X], log4cplus.rootLogger is [root], a "
    "log4cplus.logger.X is [loggers.aiodicom]; see docs/commands.md"
)


@contextlib.contextmanager
def log_as_configured(path: str, phrases: Mapping[str, str | None]) -> Iterator[None]:
    """Log as Python's `logging.config` does by a file: a dictConfig in TOML, a fileConfig in INI.

    Loggers are ``aiodicom`` and its children. What handlers do is done in a thread.

    Raises
    ------
    LogConfigError
        Where the file is not such a configuration.
    """
    _configure(path)
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(_writer())
        for logger in _configured():
            stack.callback(_put, logger, logger.handlers[:])
            _put(logger, [_through(lines, handler, phrases) for handler in logger.handlers])
        yield


def _put(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    logger.handlers[:] = handlers


def _through(
    lines: _Lines, handler: logging.Handler, phrases: Mapping[str, str | None]
) -> logging.Handler:
    """Return a handler that has another one do its work in the thread."""
    instead = _Dropping(lines, handler.handle)
    instead.addFilter(_Rephrase(phrases))
    instead.setLevel(handler.level)
    return instead


def _configured() -> list[logging.Logger]:
    """Return the loggers that our records come to."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "aiodicom"]
    return [logging.getLogger(), *(logging.getLogger(name) for name in names)]


def _configure(path: str) -> None:
    import logging.config

    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LogConfigError(f"cannot read log configuration {path}: {reason}") from None
    if re.search(r"^\s*log4cplus\.", text, re.MULTILINE):
        raise LogConfigError(f"{path} {_LOG4CPLUS}")
    try:
        configuration = _parse(text, path)
        if isinstance(configuration, dict):
            logging.config.dictConfig(configuration)
        else:
            logging.config.fileConfig(configuration, disable_existing_loggers=False)
    except Exception as error:  # whatever the objects raise that a configuration makes
        raise LogConfigError(f"log configuration {path}: {_reason(error)}") from None


def _parse(text: str, path: str) -> dict[str, object] | configparser.RawConfigParser:
    import configparser
    import tomllib

    try:
        configuration: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if path.endswith(".toml"):
            raise ValueError(f"it is no TOML: {error}") from None
        wrong = error
    else:
        if configuration.keys().isdisjoint(("handlers", "loggers", "root")):
            raise ValueError("it has none of [handlers], [loggers] and [root]")
        return {"version": 1, "disable_existing_loggers": False} | configuration
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(f"neither TOML ({wrong}) nor INI ({error})") from None
    for needed in ("loggers", "handlers", "formatters"):
        if not parser.has_section(needed):
            raise ValueError(f"it has no [{needed}], which one in INI needs")
    return parser


def _reason(error: BaseException) -> str:
    """Return what an error comes from, on one line: `logging` says why in the cause of it."""
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__
    return ": ".join(" ".join(text.split()) for text in texts if text)
