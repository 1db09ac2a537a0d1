"""``python -m aiodicom.echoscp PORT``: answer C-ECHO."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import aiodicom
from aiodicom.cli.common import DEFAULTS, GENERAL, main, network_options, timeouts_of
from aiodicom.cli.options import Command, port

__all__ = ["COMMAND", "echoscp"]

COMMAND = Command(
    "echoscp",
    "answers C-ECHO",
    {"port": port},
    (GENERAL, network_options("ECHOSCP", "30", "30", 16382)),
    {
        **DEFAULTS,
        "ae_title": "ECHOSCP",
        "host": None,
        "association": 30.0,
        "dimse": 30.0,
        "network": 30.0,
        "maximum_length": 16382,
    },
)

PHRASES = {"Association Received": "Accepting Association", "Association Accepted": None}
"""What this command's ancestor writes where storescp's writes something else."""


def _act(settings: dict[str, Any]) -> None:
    aiodicom.run(
        ae_title=settings["ae_title"],
        host=settings["host"],
        port=settings["port"],
        maximum_length=settings["maximum_length"],
        timeouts=timeouts_of(settings),
    )


def echoscp(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return main(COMMAND, _act, arguments, PHRASES)


if __name__ == "__main__":
    sys.exit(echoscp())
