"""Options of storing receivers: who else is told of what was stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiodicom.announcing import Announcer, Command, HttpPost, Sink
from aiodicom.announcing.http_post import check_url
from aiodicom.announcing.templates import reception_command, study_command
from aiodicom.cli.common import Failed
from aiodicom.cli.options import Group, Option, excludes, needs

__all__ = [
    "ANNOUNCING",
    "ANNOUNCING_DEFAULTS",
    "ANNOUNCING_RULES",
    "ONE_PROCESS",
    "PARTS",
    "announcer_of",
]


def _url(text: str) -> str:
    check_url(text)
    return text


def _command(text: str) -> str:
    """Convert a command, which is read once more for either kind of announcement."""
    reception_command(text)
    study_command(text)
    return text


def _quiet(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= 1e6:
        raise ValueError(f"{text!r} is not a number of seconds, more than 0")
    return number


ANNOUNCING = Group(
    "announcement options",
    (
        Option(("--announce-url",), "announce_urls",
               "POST a CloudEvent to URL u for each object stored (repeatable)", "[u]rl",
               _url, repeats=True),
        Option(("--announce-command",), "announce_commands",
               "run command c for each object stored, a CloudEvent on its standard input, with "
               "#p #f #a #c #r in it (repeatable)", "[c]ommand", _command, repeats=True),
        Option(("--announce-quiet",), "announce_quiet",
               "announce studies of which nothing has come for s seconds, too", "[s]econds",
               _quiet),
        Option(("--announce-paths",), "announce_paths",
               "say in CloudEvents where the files are, too"),
    ),
)  # fmt: skip
"""Of receivers that store."""

ANNOUNCING_DEFAULTS: Mapping[str, object] = {
    "announce_urls": (),
    "announce_commands": (),
    "announce_quiet": None,
    "announce_paths": False,
}

_SINKS = ("--announce-url", "--announce-command")

ANNOUNCING_RULES = (
    needs("--announce-quiet", *_SINKS),
    needs("--announce-paths", *_SINKS),
    excludes("--ignore", *_SINKS),
)

ONE_PROCESS = ("--announce-quiet",)
"""What needs one process that sees all objects."""

PARTS = "the associations of one study may go to several workers, none of which sees its end"
"""Why."""


def announcer_of(settings: Mapping[str, Any]) -> Announcer | None:
    """Return the announcer that a command line asks for; None where it asks for none.

    Raises
    ------
    Failed
        Where what it needs is not installed.
    """
    paths = settings["announce_paths"]
    try:
        sinks: list[Sink] = [HttpPost(url, paths=paths) for url in settings["announce_urls"]]
    except ImportError:
        raise Failed("--announce-url needs httpx: pip install 'aiodicom[http]'") from None
    sinks += [Command(text, paths=paths) for text in settings["announce_commands"]]
    return Announcer(*sinks, quiet=settings["announce_quiet"]) if sinks else None
