"""``python -m aiodicom.storescp PORT``: receive objects and store them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import aiodicom
from aiodicom.cli.common import DEFAULTS, GENERAL, main, network_options, timeouts_of
from aiodicom.cli.options import Command, Group, Option, port

__all__ = ["COMMAND", "storescp"]

logger = logging.getLogger("aiodicom.storescp")

COMMAND = Command(
    "storescp",
    "receives objects of every storage SOP class and stores them",
    {"port": port},
    (
        GENERAL,
        network_options("STORESCP", "unlimited", "60", 16384),
        Group(
            "output options",
            (
                Option(("-od", "--output-directory"), "folder",
                       "write received objects to directory d (default: .)", "[d]irectory"),
                Option(("--ignore",), "ignore", "receive data but don't store it"),
            ),
        ),
    ),
    {
        **DEFAULTS,
        "ae_title": "STORESCP",
        "host": None,
        "association": 30.0,
        "dimse": None,
        "network": 60.0,
        "maximum_length": 16384,
        "folder": ".",
        "ignore": False,
    },
)  # fmt: skip


async def ignore(request: aiodicom.StoreRequest) -> aiodicom.Status:
    """Take an object and drop it."""
    request.dataset.discard()
    return aiodicom.Status.SUCCESS


def _act(settings: dict[str, Any]) -> None:
    aiodicom.run(
        store=ignore if settings["ignore"] else aiodicom.FileStorage(settings["folder"]),
        ae_title=settings["ae_title"],
        host=settings["host"],
        port=settings["port"],
        maximum_length=settings["maximum_length"],
        timeouts=timeouts_of(settings),
    )


def storescp(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return main(COMMAND, _act, arguments)


if __name__ == "__main__":
    sys.exit(storescp())
