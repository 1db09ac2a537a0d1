"""What the receiving commands that store share: options, and the store handler that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiodicom.cli.announcing import ANNOUNCING_DEFAULTS, announcer_of
from aiodicom.cli.limits import ROOM_DEFAULTS
from aiodicom.cli.options import Option
from aiodicom.cli.receiving import RECEIVER_DEFAULTS
from aiodicom.storage.files import FileStorage
from aiodicom.storage.schemes import Layout, Names

__all__ = ["DURABILITY", "STORAGE_MODE", "STORING_DEFAULTS", "extension", "storage_of"]

STORING_DEFAULTS: Mapping[str, object] = {
    **RECEIVER_DEFAULTS,
    **ROOM_DEFAULTS,
    **ANNOUNCING_DEFAULTS,
    "dimse": None,
    "network": 60.0,
    "maximum_length": 16384,
    "window": 1,
    "no_lookup": False,
    "profile": None,
    "folder": ".",
    "mode": "store",
    "durability": "durable",
    "sorting": None,
    "names": Names.INSTANCE,
    "extension": "",
}
"""What stands of their options where nothing is said."""

STORAGE_MODE = (
    Option(("-B", "--normal"), "mode", "the same as --bit-preserving: nothing is ever converted",
           value="store"),
    Option(("+B", "--bit-preserving"), "mode", "write dataset exactly as received (default)",
           value="store"),
)  # fmt: skip
"""Both are one thing here."""


def _durability(text: str) -> str:
    if text not in ("durable", "none"):
        raise ValueError(f"{text!r} is neither durable nor none")
    return text


DURABILITY = Option(
    ("--durability",), "durability",
    "success means on the disk (durable, default) or with the system (none)",
    "[w]hat", _durability,
)  # fmt: skip


def extension(text: str) -> str:
    """Convert what is appended to file names."""
    return Layout(extension=text).extension


def storage_of(settings: Mapping[str, Any], **more: Any) -> FileStorage:
    """Return the store handler that a command line asks for.

    Parameters
    ----------
    settings : mapping
        What it says.
    **more
        What else `FileStorage` is told.

    Raises
    ------
    Failed
        Where what is announced cannot be.
    """
    return FileStorage(
        settings["folder"],
        durability=settings["durability"],
        layout=Layout(settings["names"], settings["sorting"], settings["extension"]),
        announcer=announcer_of(settings),
        least_free_bytes=settings["least_free_bytes"],
        least_free_inodes=settings["least_free_inodes"],
        **more,
    )
