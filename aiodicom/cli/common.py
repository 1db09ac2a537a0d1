"""What every command does: its general options, log, start and exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from aiodicom.cli.ending import spare_connection
from aiodicom.cli.logs import (
    LOG_OPTIONS,
    VERBOSE_AND_CONTEXTS,
    VERBOSE_CONTEXTS,
    LogConfigError,
    check_verbosity,
    log_as_configured,
    log_to_stderr,
)
from aiodicom.cli.options import Command, Group, Option, UsageError, expand
from aiodicom.open_files import raise_open_files_limit
from aiodicom.systemd import has_sockets
from aiodicom.wire.identity import __version__

__all__ = [
    "DEFAULTS",
    "GENERAL",
    "GENERAL_OF_RECEIVERS",
    "GENERAL_OF_STORESCU",
    "Failed",
    "failing_with",
    "main",
    "reason",
    "say",
]

GENERAL = Group(
    "general options",
    (
        Option(("-h", "--help"), "help", "print this help text and exit"),
        Option(("--version",), "version", "print version information and exit"),
        Option(("--arguments",), "arguments", "print expanded command line arguments"),
        *LOG_OPTIONS,
    ),
)

GENERAL_OF_RECEIVERS = Group(GENERAL.title, (*GENERAL.options, VERBOSE_CONTEXTS))
GENERAL_OF_STORESCU = Group(GENERAL.title, (*GENERAL.options, VERBOSE_AND_CONTEXTS))
"""These have a setting more: ``verbose_pc``, which is False where nothing is said."""

DEFAULTS: Mapping[str, object] = {
    "level": logging.WARNING,
    "log_config": None,
    "arguments": False,
    "family": socket.AF_UNSPEC,
}
"""What stands of the options of all commands where nothing is said."""


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Failed(Exception):
    """A command cannot do what it was asked to: why, the remedy, and the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def reason(error: OSError) -> str:
    """Return what to say of an error of the system: which file, and what is wrong with it."""
    return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}"


@contextlib.contextmanager
def failing_with(code: int, error_type: type[Exception]) -> Iterator[None]:
    """Have errors of a type be `Failed`, with that exit code, while the body runs."""
    try:
        yield
    except error_type as error:
        raise Failed(reason(error) if isinstance(error, OSError) else str(error), code) from None


def main(
    command: Command,
    act: Callable[[dict[str, object]], int | None],
    arguments: Sequence[str] | None = None,
    phrases: Mapping[str, str | None] | None = None,
) -> int:
    """Run a command: parse, set up the log, act; return its exit code.

    Parameters
    ----------
    command : Command
        What it takes.
    act : callable
        What it does with its settings; returns the exit code, None for 0, or raises `Failed`
        with one, or `OSError`, which is 1.
    arguments : sequence of str, optional
        The command line; by default the process's.
    phrases : mapping, optional
        Log messages that this command words differently, or (None) not at all.

    Returns
    -------
    int
        What `act` says, or 1 where the command line is wrong or the command could not start.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _occupy_standard_streams()
    spare_connection()
    try:
        arguments = expand(arguments)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = _answer(command, arguments)
    if text is not None:
        say(text)
        return 0
    try:
        settings = command.parse(arguments)
        level = check_verbosity(settings)
    except UsageError as error:
        print(f"error: {error}; see python -m aiodicom.{command.name} --help", file=sys.stderr)
        return 1
    if settings.get("arguments"):  # asked for, whatever the log's level
        words = " ".join(f"'{word}'" for word in arguments)
        line = f"I: calling '{command.name}' with {len(arguments)} arguments: {words}"
        print(line, file=sys.stderr, flush=True)
    try:
        with _log(settings, level, phrases or {}):
            return _run(command.name, act, settings)
    except LogConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _answer(command: Command, arguments: Sequence[str]) -> str | None:
    """Return what is printed instead of doing anything, where that is asked for."""
    is_started_bare = "port" in command.optional and has_sockets()
    if (not arguments and not is_started_bare) or "-h" in arguments or "--help" in arguments:
        return command.usage()
    if "--version" in arguments:
        return f"aiodicom {command.name} {__version__}"
    return next((command.answers[word]() for word in arguments if word in command.answers), None)


def say(text: str) -> None:
    """Print to standard output, whose reader may have seen enough."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _log(
    settings: Mapping[str, object], level: int, phrases: Mapping[str, str | None]
) -> contextlib.AbstractContextManager[None]:
    file = settings.get("log_config")
    if isinstance(file, str):
        return log_as_configured(file, phrases)
    return log_to_stderr(level, phrases)


def _run(
    name: str, act: Callable[[dict[str, object]], int | None], settings: dict[str, object]
) -> int:
    logger = logging.getLogger("aiodicom")
    logger.debug("%s v%s", name, __version__)
    notes = settings["notes"]
    for note in notes if isinstance(notes, tuple) else ():
        logger.warning("%s", note)
    if os.environ.get("DCMDICTPATH"):
        from aiodicom.cli.dictionary import load_dictionaries

        for warning in load_dictionaries(os.environ):
            logger.warning("%s", warning)
    raise_open_files_limit()
    try:
        return act(settings) or 0
    except Failed as error:
        logger.critical("%s", error)
        return error.code
    except OSError as error:
        logger.critical("%s", reason(error))
        return 1
    except KeyboardInterrupt:
        logger.error("Interrupted")
        return INTERRUPTED


def _occupy_standard_streams() -> None:
    """Put something where standard streams are closed: a socket must not get their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
