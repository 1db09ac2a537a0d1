"""``python -m aiodicom.echoscu PEER PORT``: send C-ECHO."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiodicom
from aiodicom.cli import requesting
from aiodicom.cli.common import DEFAULTS, GENERAL, main
from aiodicom.cli.network import REQUESTOR_DEFAULTS, requestor_options
from aiodicom.cli.options import Command, Group, Option, count, port
from aiodicom.cli.syntaxes import SYNTAXES
from aiodicom.cli.tls import TLS_ANSWERS, TLS_DEFAULTS, tls_options, tls_rules
from aiodicom.errors import AssociationClosed, AssociationRejected, NotSent
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION

__all__ = ["COMMAND", "echoscu"]

logger = logging.getLogger("aiodicom.echoscu")

NO_ASSOCIATION = 1
"""The exit code where there is no association, or none that lets us ask."""

NO_ECHO = 70
"""The exit code where an echo has failed, or the association ended before its response."""

_OTHERS = (s.uid for s in SYNTAXES if s.kind != "other" and s.uid != IMPLICIT_LITTLE)
TRANSFER_SYNTAXES = (IMPLICIT_LITTLE, *_OTHERS)


def _first(text: str) -> tuple[str, ...]:
    """Convert a number of transfer syntaxes."""
    return TRANSFER_SYNTAXES[: count(1, len(TRANSFER_SYNTAXES))(text)]


def _not_here(text: str) -> str:
    """Refuse a certificate that is to be checked offline: Python has nothing that does."""
    raise ValueError(f"not offered here: openssl verify -CAfile AUTHORITY {text} does it")


_PROPOSAL = Group(
    "association negotiation",
    (
        Option(("-pts", "--propose-ts"), "transfer_syntaxes",
               f"propose n transfer syntaxes, 1 to {len(TRANSFER_SYNTAXES)} (default: 1)",
               "[n]umber", _first),
        Option(("-xe", "--request-little"), "transfer_syntaxes",
               "propose explicit VR little endian only", value=(EXPLICIT_LITTLE,)),
        Option(("-xb", "--request-big"), "transfer_syntaxes",
               "propose explicit VR big endian only", value=(EXPLICIT_BIG,)),
        Option(("-xi", "--request-implicit"), "transfer_syntaxes",
               "propose implicit VR little endian only (default)", value=(IMPLICIT_LITTLE,)),
        Option(("-ppc", "--propose-pc"), "contexts",
               "propose n presentation contexts, 1 to 128 (default: 1)",
               "[n]umber", count(1, 128)),
    ),
)  # fmt: skip

_ECHOES = Group(
    "echoes",
    (
        Option(("--repeat",), "repeat", "ask n times (default: 1)", "[n]umber", count(1)),
        Option(("--abort",), "aborts", "abort association instead of releasing it"),
    ),
)

_OFFLINE = Group(
    "offline certificate verification (not offered: OpenSSL's own command does it)",
    (
        Option(("+vc", "--verify-cert"), "offline", "see openssl verify", "[f]ilename", _not_here),
        Option(("+rc", "--is-root-cert"), "offline", "see openssl verify", "[f]ilename", _not_here),
    ),
)

COMMAND = Command(
    "echoscu",
    "sends C-ECHO",
    {"peer": str, "port": port},
    (
        GENERAL,
        requestor_options("ECHOSCU"),
        _PROPOSAL,
        _ECHOES,
        *tls_options(acceptor=False),
        _OFFLINE,
    ),
    {
        **DEFAULTS,
        **REQUESTOR_DEFAULTS,
        **TLS_DEFAULTS,
        "ae_title": "ECHOSCU",
        "transfer_syntaxes": (IMPLICIT_LITTLE,),
        "contexts": 1,
        "repeat": 1,
        "aborts": False,
    },
    tls_rules(acceptor=False),
    TLS_ANSWERS,
)


def _act(settings: dict[str, Any]) -> int:
    context = (VERIFICATION, settings["transfer_syntaxes"])
    connection = requesting.connection_settings(settings)
    requestor = aiodicom.connect(**connection, contexts=[context] * settings["contexts"], window=1)
    return requesting.run(_ask(requestor, settings["repeat"], aborts=settings["aborts"]))


async def _ask(requestor: aiodicom.Requestor, repeat: int, *, aborts: bool) -> int:
    """Ask several times over one association; return the exit code."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(requestor)
        except AssociationRejected as error:
            logger.critical("Association Rejected: %s", error)
            return NO_ASSOCIATION
        except AssociationClosed as error:
            logger.critical("Association Request Failed: %s", error)
            return NO_ASSOCIATION
        try:
            code = await _echo(requestor, repeat)
        except NotSent as error:
            logger.critical("No Acceptable Presentation Contexts: %s", error)
            return NO_ASSOCIATION
        except AssociationClosed as error:
            logger.error("Echo Failed: %s", error)
            return NO_ECHO
        if aborts:
            await requestor.abort()
        return code


async def _echo(requestor: aiodicom.Requestor, repeat: int) -> int:
    """Ask until there is an answer that is no success; return the exit code."""
    least, most, total = float("inf"), 0.0, 0.0
    for number in range(1, repeat + 1):
        logger.info("Sending Echo Request (MsgID %d)", number % 0xFFFF or 0xFFFF)
        begun = time.perf_counter()
        status = await requestor.c_echo()
        took = 1000 * (time.perf_counter() - begun)
        if status != aiodicom.Status.SUCCESS:
            logger.error("Echo Failed: the peer answers with status 0x%04X", status)
            return NO_ECHO
        logger.info("Received Echo Response (Success) after %.2f ms", took)
        least, most, total = min(least, took), max(most, took), total + took
    if repeat > 1:
        logger.info("%d echoes, each after %.2f to %.2f ms, on average %.2f ms",
                    repeat, least, most, total / repeat)  # fmt: skip
    return 0


def echoscu(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return main(COMMAND, _act, arguments)


if __name__ == "__main__":
    sys.exit(echoscu())
