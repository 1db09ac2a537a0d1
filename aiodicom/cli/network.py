"""The network's options, of receivers and of senders."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiodicom.cli.options import Group, Option, Rule, ae_title, count, excludes, seconds, size
from aiodicom.limits import Timeouts
from aiodicom.listening import Listener

if TYPE_CHECKING:
    from aiodicom.tls import AcceptorTLS

__all__ = [
    "PROFILE",
    "REQUESTOR_DEFAULTS",
    "host_of",
    "listeners_of",
    "network_options",
    "not_with_profile",
    "requestor_options",
    "timeouts_of",
]


def _addresses(of_what: str) -> tuple[Option, ...]:
    return (
        Option(("-i4", "--ipv4"), "family", f"{of_what} IPv4 only", value=socket.AF_INET),
        Option(("-i6", "--ipv6"), "family", f"{of_what} IPv6 only", value=socket.AF_INET6),
        Option(("-i0", "--ip-auto"), "family", f"{of_what} IPv4 or IPv6 (default)",
               value=socket.AF_UNSPEC),
    )  # fmt: skip


def _network_timeouts(default: str) -> tuple[Option, ...]:
    """Return the options for a connection without a byte: DCMTK's name and pynetdicom's."""
    return (
        Option(("-ts", "--socket-timeout"), "network",
               "timeout for the socket, which is --network-timeout", "[s]econds", seconds),
        Option(("-tn", "--network-timeout"), "network",
               f"timeout for the network (default: {default})", "[s]econds", seconds),
    )  # fmt: skip


def network_options(
    title: str, dimse: str, network: str, pdu: int, *, stores: bool = False
) -> Group:
    """Return the options of a receiver's network side, with its own defaults in their help.

    Parameters
    ----------
    title, dimse, network : str
        The defaults of its AE title, of ``--dimse-timeout`` and of ``--network-timeout``.
    pdu : int
        The default of ``--max-pdu``, in bytes.
    stores : bool
        Whether it takes ``--window`` and ``--disable-host-lookup``; the settings are ``window`` and
        ``no_lookup``.
    """
    of_storage = (
        Option(("--window",), "window",
               "requests that may be unanswered, if the peer asks for it (default: 1)",
               "[n]umber", count(0, 65535)),
        Option(("-dhl", "--disable-host-lookup"), "no_lookup",
               "do not look up the names of peers"),
    )  # fmt: skip
    return Group(
        "network options",
        (
            Option(("-aet", "--ae-title", "--aetitle"), "ae_title",
                   f"set my AE title (default: {title})", "[a]etitle", ae_title),
            Option(("-ba", "--bind-address"), "host",
                   "listen on this address (default: all interfaces)", "[a]ddress"),
            *_addresses("listen on"),
            Option(("-ta", "--acse-timeout"), "association",
                   "timeout for ACSE messages (default: 30)", "[s]econds", seconds),
            Option(("-td", "--dimse-timeout"), "dimse",
                   f"timeout for DIMSE messages (default: {dimse})", "[s]econds", seconds),
            Option(("-to", "--timeout"), "network",
                   "timeout for requests, which is --network-timeout", "[s]econds", seconds),
            *_network_timeouts(network),
            Option(("-pdu", "--max-pdu"), "maximum_length",
                   f"set max receive pdu to n bytes, 0 is unlimited (default: {pdu})",
                   "[n]umber", size),
            *(of_storage if stores else ()),
        ),
    )  # fmt: skip


REQUESTOR_DEFAULTS: Mapping[str, object] = {
    "called_ae_title": "ANY-SCP",
    "connection": None,
    "network": 60.0,
    "association": 30.0,
    "dimse": None,
    "maximum_length": 16384,
}
"""What stands of a sender's network options, but its own AE title, where nothing is said."""


def requestor_options(title: str, *, max_send_pdu: bool = False) -> Group:
    """Return the options of a sender's network side.

    Parameters
    ----------
    title : str
        The default of its AE title.
    max_send_pdu : bool
        Whether it takes ``--max-send-pdu``; the setting is ``maximum_send_length``.
    """
    send = Option(
        ("--max-send-pdu",), "maximum_send_length", "restrict max send pdu to n bytes",
        "[n]umber", size,
    )  # fmt: skip
    return Group(
        "network options",
        (
            Option(("-aet", "--calling-aet", "--ae-title", "--aetitle"), "ae_title",
                   f"set my calling AE title (default: {title})", "[a]etitle", ae_title),
            Option(("-aec", "--called-aet", "--call"), "called_ae_title",
                   "set called AE title of peer (default: ANY-SCP)", "[a]etitle", ae_title),
            *_addresses("connect by"),
            Option(("-to", "--timeout"), "connection",
                   "timeout for the connection to be made (default: unlimited)",
                   "[s]econds", seconds),
            Option(("-ta", "--acse-timeout"), "association",
                   "timeout for ACSE messages (default: 30)", "[s]econds", seconds),
            Option(("-td", "--dimse-timeout"), "dimse",
                   "timeout for DIMSE messages (default: unlimited)", "[s]econds", seconds),
            *_network_timeouts("60"),
            Option(("-pdu", "--max-pdu"), "maximum_length",
                   "set max receive pdu to n bytes, 0 is unlimited (default: 16384)",
                   "[n]umber", size),
            *((send,) if max_send_pdu else ()),
        ),
    )  # fmt: skip


def timeouts_of(settings: Mapping[str, Any]) -> Timeouts:
    """Return the deadlines that a command line asks for."""

    return Timeouts(
        association=settings["association"],
        dimse=settings["dimse"],
        network=settings["network"],
        connection=settings.get("connection"),
        rate=settings.get("rate_time") or 60,
    )


def host_of(settings: Mapping[str, Any]) -> str | None:
    """Return the address that a receiver listens on: one that is given, or any of a version."""
    host, family = settings["host"], settings["family"]
    if isinstance(host, str):
        return host
    return {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}.get(socket.AddressFamily(family))


def listeners_of(settings: Mapping[str, Any], tls: AcceptorTLS | None) -> tuple[Listener, ...]:
    """Return what a receiver listens on: its port, and the one of ``--tls-port`` beside it.

    Without a port of its own, where a service manager has chosen, it is any: port 0.
    """
    host, port, tls_port = host_of(settings), settings["port"] or 0, settings["tls_port"]
    if tls_port is None:
        return (Listener(port, host, tls),)
    return (Listener(port, host), Listener(tls_port, host, tls))


PROFILE = Group(
    "association negotiation profile",
    (
        Option(("-xf", "--config-file"), "profile", "use profile p of configuration file f",
               "[f]ilename [p]rofile"),
    ),
)  # fmt: skip
"""The setting is ``profile``: a file and the name of a profile (`profiles.load_profile`)."""


def not_with_profile(*groups: Group, names: tuple[str, ...] = ()) -> Rule:
    """Return the rule that a profile does not go with the options of `groups`, nor with `names`.

    An option that asks for what is done anyway does, as in DCMTK: ``-x=``.
    """
    others = [option.name for group in groups for option in group.options]
    kept = [name for name in others if not name.endswith("-uncompr")]
    return excludes("--config-file", *kept, *names)
