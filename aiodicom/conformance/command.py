"""The command: a command line becomes a statement on standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aiodicom.cli.common import Failed, say
from aiodicom.cli.options import Command, Group, Option, UsageError
from aiodicom.cli.profiles import ProfileError
from aiodicom.conformance.configurations import read
from aiodicom.conformance.statement import statement
from aiodicom.errors import DicomError
from aiodicom.wire.identity import __version__

__all__ = ["COMMAND", "USUAL", "conformance"]

USUAL = ("storescp", "11112")
"""The command line that a statement is about where none is given."""

COMMAND = Command(
    "conformance",
    "writes the DICOM Conformance Statement of another command and its options, as Markdown",
    {"command": str, "options...": str},
    (
        Group(
            "general options (all others are the command's)",
            (
                Option(("-h", "--help"), "help", "print this help text and exit"),
                Option(("--version",), "version", "print version information and exit"),
            ),
        ),
    ),
    optional=("command", "options..."),
)


def conformance(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    words = tuple(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (("-h",), ("--help",)):
        say(COMMAND.usage())
        return 0
    if words[:1] == ("--version",):
        say(f"aiodicom {COMMAND.name} {__version__}")
        return 0
    try:
        text = statement(read(words or USUAL))
    except UsageError as error:
        sys.stderr.write(f"error: {error}; see python -m aiodicom.{COMMAND.name} --help\n")
        return 1
    except (Failed, DicomError, ProfileError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    say(text.removesuffix("\n"))
    return 0
