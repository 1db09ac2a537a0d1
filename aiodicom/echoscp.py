"""``python -m aiodicom.echoscp PORT``: answer C-ECHO."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from aiodicom.cli.access import ACCESS, ACCESS_RULES
from aiodicom.cli.common import GENERAL_OF_RECEIVERS, main
from aiodicom.cli.ending import GRACE, needs_port
from aiodicom.cli.limits import LIMITS, check_limits
from aiodicom.cli.network import network_options
from aiodicom.cli.options import Command, Group, port
from aiodicom.cli.receiving import RECEIVER_DEFAULTS, Receiving, policy_of, run, server_of
from aiodicom.cli.syntaxes import preference_options
from aiodicom.cli.tls import TLS_ANSWERS, tls_options, tls_rules
from aiodicom.cli.watching import WATCHING
from aiodicom.cli.workers import WORKERS
from aiodicom.server.server import Server
from aiodicom.wire.negotiation import Policy

__all__ = ["COMMAND", "echoscp"]

COMMAND = Command(
    "echoscp",
    "answers C-ECHO",
    {"port": port},
    (
        GENERAL_OF_RECEIVERS,
        network_options("ECHOSCP", "30", "30", 16382),
        preference_options(plus_prefix=False),
        Group("processing options", (WORKERS, GRACE)),
        ACCESS,
        LIMITS,
        WATCHING,
        *tls_options(acceptor=True),
    ),
    {
        **RECEIVER_DEFAULTS,
        "ae_title": "ECHOSCP",
        "dimse": 30.0,
        "network": 30.0,
        "maximum_length": 16382,
        "preference": None,
    },
    (*ACCESS_RULES, *tls_rules(acceptor=True)),
    TLS_ANSWERS,
    (needs_port, check_limits),
    ("port",),
)

PHRASES = {"Association Received": "Accepting Association", "Association Accepted": None}
"""What this command's ancestor writes where storescp's writes something else."""


def policy(settings: Mapping[str, Any]) -> Policy:
    """Return what a command line agrees to."""
    return policy_of(settings, stores=False)


def make_server(settings: Mapping[str, Any]) -> Server:
    """Return the server that a command line asks for.

    Raises
    ------
    Failed
        Where there cannot be one.
    """
    return server_of(settings, policy(settings), Receiving())


def _act(settings: Mapping[str, Any]) -> None:
    run(make_server(settings))


def echoscp(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return main(COMMAND, _act, arguments, PHRASES)


if __name__ == "__main__":
    sys.exit(echoscp())
