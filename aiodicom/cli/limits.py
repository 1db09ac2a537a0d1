"""What peers may cost a receiving command: its options, and the limits that they make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from aiodicom.cli.options import Group, Option, UsageError, count, seconds
from aiodicom.limits import Limits
from aiodicom.wire.buffers import SLAB_SIZE

__all__ = ["LIMITS", "LIMIT_DEFAULTS", "ROOM", "ROOM_DEFAULTS", "check_limits", "limits_of"]

_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_AMOUNT = re.compile(r"([0-9]+) ?([kmgt]?)i?b?", re.IGNORECASE)


def amount(text: str) -> int:
    """Convert a number of bytes: ``1000``, ``64k``, ``256M``, ``10G``; k is 1,024."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number of bytes, such as 1000, 64k, 256M or 10G")
    return int(match[1]) << _UNITS[match[2].lower()]


def _or_none(convert: Callable[[str], int]) -> Callable[[str], int | None]:
    """Return what converts 0 to no limit."""

    def converted(text: str) -> int | None:
        return convert(text) or None

    return converted


_some = _or_none(count(0))

LIMITS = Group(
    "limits: what peers may cost",
    (
        Option(("--max-associations",), "associations",
               "admit at most n associations at a time (default: 12000)", "[n]umber", count(1)),
        Option(("--max-associations-per-address",), "associations_per_address",
               "of one address at a time, 0 is unlimited (default: 10500)", "[n]umber", _some),
        Option(("--max-associations-per-title",), "associations_per_title",
               "of one calling AE title at a time (default: unlimited)", "[n]umber", _some),
        Option(("--max-connections",), "connections",
               "have at most n connections at a time (default: 14000)", "[n]umber", count(1)),
        Option(("--max-connections-per-address",), "connections_per_address",
               "of one address at a time, 0 is unlimited (default: 12250)", "[n]umber", _some),
        Option(("--max-memory",), "buffered_bytes",
               "let datasets occupy n bytes of memory (default: 256M)", "[n]umber", amount),
        Option(("--max-request",), "request_bytes",
               "take association requests of at most n bytes (default: 256k)", "[n]umber", amount),
        Option(("--max-command",), "command_bytes",
               "take command sets of at most n bytes (default: 16k)", "[n]umber", amount),
        Option(("--max-object",), "object_bytes",
               "take objects of at most n bytes (default: unlimited)", "[n]umber",
               _or_none(amount)),
        Option(("--min-rate",), "least_rate",
               "abort who sends less than n bytes a second of a message (default: 100)",
               "[n]umber", _or_none(amount)),
        Option(("--min-rate-time",), "rate_time",
               "measure that over s seconds (default: 60)", "[s]econds", seconds),
    ),
)  # fmt: skip
"""Of all receivers."""

ROOM = Group(
    "limits: room where objects are stored, below which they are refused",
    (
        Option(("--min-free",), "least_free_bytes",
               "keep n bytes free (default: a hundredth of the file system, at most 256M)",
               "[n]umber", amount),
        Option(("--min-free-inodes",), "least_free_inodes",
               "keep n inodes free (default: a hundredth of all, at most 1000)",
               "[n]umber", count(0)),
    ),
)  # fmt: skip
"""Of receivers that store."""

_FIELDS = (
    *("associations_per_address", "associations_per_title", "connections_per_address"),
    *("buffered_bytes", "request_bytes", "command_bytes", "object_bytes", "least_rate"),
)
_USUAL = Limits()

LIMIT_DEFAULTS: Mapping[str, object] = {
    **{name: getattr(_USUAL, name) for name in _FIELDS},
    "associations": _USUAL.associations,
    "connections": None,
    "rate_time": 60.0,
}
ROOM_DEFAULTS: Mapping[str, object] = {"least_free_bytes": None, "least_free_inodes": None}


def limits_of(settings: Mapping[str, Any]) -> Limits:
    """Return the limits that a command line asks for.

    Raises
    ------
    ValueError
        Where one would let nobody in.
    """
    associations = settings["associations"]
    connections = settings["connections"] or max(_USUAL.connections, associations * 7 // 6)
    least_rate = settings["least_rate"] if settings["rate_time"] else None
    fields = {name: settings[name] for name in _FIELDS} | {"least_rate": least_rate}
    return Limits(associations=associations, connections=connections, **fields)


def check_limits(settings: Mapping[str, object]) -> None:
    """Check what a command line asks for as a whole.

    Raises
    ------
    UsageError
        Where a limit would let nobody in.
    """
    try:
        limits = limits_of(settings)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise UsageError(f"{_option_of(name)} {rest}") from None
    workers = settings["workers"]
    assert isinstance(workers, int)
    least = 2 * SLAB_SIZE * workers
    if limits.buffered_bytes < least:
        raise UsageError(f"--max-memory is {limits.buffered_bytes}: {workers} workers need {least}")


def _option_of(dest: str) -> str:
    return next(option.name for option in LIMITS.options if option.dest == dest)
