"""What every receiving command does: general and network options, log, start, exit code."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import queue
import resource
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from aiodicom.access import Timeouts
from aiodicom.cli.options import Command, Group, Option, UsageError, ae_title, expand, seconds, size
from aiodicom.wire.identity import __version__

__all__ = ["DEFAULTS", "GENERAL", "main", "network_options", "timeouts_of"]

LEVELS = {
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}
_SILENT = logging.CRITICAL + 1

LOG_QUEUE = 10_000
"""Lines that wait for whoever reads our standard error; further ones are dropped."""

LAST_LINES = 1.0
"""Seconds that they are waited for in the end."""


def _level(text: str) -> int:
    try:
        return LEVELS[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is no level: {', '.join(LEVELS)}") from None


GENERAL = Group(
    "general options",
    (
        Option(("-h", "--help"), "help", "print this help text and exit"),
        Option(("--version",), "version", "print version information and exit"),
        Option(("--arguments",), "arguments", "print expanded command line arguments"),
        Option(("-q", "--quiet"), "level", "quiet mode, print no warnings and errors",
               value=_SILENT),
        Option(("-v", "--verbose"), "level", "verbose mode, print processing details",
               value=logging.INFO),
        Option(("-d", "--debug"), "level", "debug mode, print debug information",
               value=logging.DEBUG),
        Option(("-ll", "--log-level"), "level", "one of fatal, error, warn, info, debug",
               "[l]evel", _level),
    ),
)  # fmt: skip


DEFAULTS: Mapping[str, object] = {"level": logging.WARNING, "arguments": False}
"""What stands of the general options where nothing is said."""


def network_options(title: str, dimse: str, network: str, pdu: int) -> Group:
    """Return the options of a receiver's network side, with its own defaults in their help."""
    return Group(
        "network options",
        (
            Option(("-aet", "--ae-title", "--aetitle"), "ae_title",
                   f"set my AE title (default: {title})", "[a]etitle", ae_title),
            Option(("-ba", "--bind-address"), "host",
                   "listen on this address (default: all interfaces)", "[a]ddress"),
            Option(("-ta", "--acse-timeout"), "association",
                   "timeout for ACSE messages (default: 30)", "[s]econds", seconds),
            Option(("-td", "--dimse-timeout"), "dimse",
                   f"timeout for DIMSE messages (default: {dimse})", "[s]econds", seconds),
            Option(("-tn", "--network-timeout"), "network",
                   f"timeout for the network (default: {network})", "[s]econds", seconds),
            Option(("-pdu", "--max-pdu"), "maximum_length",
                   f"set max receive pdu to n bytes, 0 is unlimited (default: {pdu})",
                   "[n]umber", size),
        ),
    )  # fmt: skip


def timeouts_of(settings: Mapping[str, object]) -> Timeouts:
    """Return the deadlines that a command line asks for."""

    def of(name: str) -> float | None:
        value = settings[name]
        return value if isinstance(value, (int, float)) else None

    return Timeouts(association=of("association"), dimse=of("dimse"), network=of("network"))


def main(
    command: Command,
    act: Callable[[dict[str, object]], None],
    arguments: Sequence[str] | None = None,
    phrases: Mapping[str, str | None] | None = None,
) -> int:
    """Run a command: parse, set up the log, act; return its exit code.

    Parameters
    ----------
    command : Command
        What it takes.
    act : callable
        What it does with its settings.
    arguments : sequence of str, optional
        The command line; by default the process's.
    phrases : mapping, optional
        Log messages that this command words differently, or (None) not at all.

    Returns
    -------
    int
        0, or 1 where the command line is wrong or the command could not start.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _occupy_standard_streams()
    try:
        arguments = expand(arguments)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not arguments or "-h" in arguments or "--help" in arguments:
        print(command.usage())
        return 0
    if "--version" in arguments:
        print(f"aiodicom {command.name} {__version__}")
        return 0
    try:
        settings = command.parse(arguments)
    except UsageError as error:
        print(f"error: {error}; see python -m aiodicom.{command.name} --help", file=sys.stderr)
        return 1
    if settings.get("arguments"):  # asked for, whatever the log's level
        words = " ".join(f"'{word}'" for word in arguments)
        line = f"I: calling '{command.name}' with {len(arguments)} arguments: {words}"
        print(line, file=sys.stderr, flush=True)
    level = settings["level"]
    with _log_to_stderr(level if isinstance(level, int) else logging.WARNING, phrases or {}):
        logger = logging.getLogger("aiodicom")
        logger.debug("%s v%s", command.name, __version__)
        for note in settings["notes"] if isinstance(settings["notes"], tuple) else ():
            logger.warning("%s", note)
        raise_open_files_limit()
        try:
            act(settings)
        except OSError as error:
            logger.critical("%s%s", f"{error.filename}: " if error.filename else "",
                            error.strerror or error)  # fmt: skip
            return 1
    return 0


def raise_open_files_limit() -> None:
    """Raise the soft limit of open files to the hard one: associations need one each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _occupy_standard_streams() -> None:
    """Put something where standard streams are closed: a socket must not get their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


class _Rephrase(logging.Filter):
    def __init__(self, phrases: Mapping[str, str | None]) -> None:
        super().__init__()
        self._phrases = phrases

    def filter(self, record: logging.LogRecord) -> bool:
        phrase = self._phrases.get(record.msg, record.msg)
        record.msg = phrase
        return phrase is not None


class _Dropping(logging.handlers.QueueHandler):
    """Hands lines to a thread: a standard error that nobody reads must not stop the loop."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


@contextlib.contextmanager
def _log_to_stderr(level: int, phrases: Mapping[str, str | None]) -> Iterator[None]:
    logger = logging.getLogger("aiodicom")
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(LOG_QUEUE)
    handler = _Dropping(lines)
    handler.addFilter(_Rephrase(phrases))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    writer = threading.Thread(target=_write_lines, args=(lines,), daemon=True)
    writer.start()
    try:
        yield
    finally:
        logger.removeHandler(handler)
        with contextlib.suppress(queue.Full):
            lines.put(None, timeout=LAST_LINES)
        writer.join(LAST_LINES)


def _write_lines(lines: queue.Queue[logging.LogRecord | None]) -> None:
    """Write records to standard error, until there is a None.

    No lock of Python's is held while that blocks, neither a stream's nor a handler's: they are
    wanted once more when the process ends, which nobody who does not read must prevent.
    """
    descriptor = _stderr()
    while (record := lines.get()) is not None:
        # Marked as the seeds do: F for what ends the command, else its level's letter.
        letter = "F" if record.levelno >= logging.CRITICAL else record.levelname[0]
        line = f"{letter}: {record.getMessage()}\n".encode(errors="backslashreplace")
        with contextlib.suppress(OSError):
            while descriptor is not None and line:
                line = line[os.write(descriptor, line) :]


def _stderr() -> int | None:
    """Return standard error's descriptor, or None where there is none."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):  # closed from the start; not a file
        return None
