"""How receivers come to their connections and to their end: inetd, systemd, and the grace."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiodicom import systemd
from aiodicom.cli.options import Option, UsageError
from aiodicom.listening import is_listening, why_not_tcp

__all__ = [
    "GRACE",
    "INETD",
    "needs_port",
    "no_workers_with_inetd",
    "sockets_of",
    "spare_connection",
    "take_connection",
]

INPUT, OUTPUT, ERRORS = range(3)


def _grace(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1e6:
        raise ValueError(f"{text!r} is not 0 or more seconds")
    return number


GRACE = Option(
    ("--grace",), "grace", "running stores have s seconds when it is stopped (default: 5)",
    "[s]econds", _grace,
)  # fmt: skip
"""Of all receivers."""

INETD = Option(
    ("-id", "--inetd"), "inetd",
    "serve one association over standard input, for inetd or systemd's Accept=yes",
)  # fmt: skip


def needs_port(settings: Mapping[str, object]) -> None:
    """Check that a port is given, or none needed, and that ``--tls-port`` is another one.

    Raises
    ------
    UsageError
        Where it is missing, or one is both.
    """
    if settings["port"] is None and not settings.get("inetd") and not systemd.has_sockets():
        raise UsageError("missing parameter port")
    if settings["tls_port"] is not None and settings["tls_port"] == settings["port"]:
        raise UsageError(
            f"--tls-port {settings['tls_port']} is the port without TLS: name another one, or "
            "leave --tls-port out to have TLS on the only port"
        )


def no_workers_with_inetd(settings: Mapping[str, object]) -> None:
    """Check that several processes are not asked for where one connection is all.

    Raises
    ------
    UsageError
        Where they are.
    """
    if settings["inetd"] and settings["workers"] != 1:
        raise UsageError("--inetd not allowed with --workers: inetd starts a process for each")


def sockets_of(settings: Mapping[str, Any]) -> Sequence[socket.socket] | None:
    """Return the sockets that a service manager has opened for a receiver; None without any.

    Raises
    ------
    OSError
        Where they cannot be listened on, or are not what the command line asks for.
    """
    sockets = systemd.take_sockets()
    if not sockets:
        return None
    if "--bind-address" in settings["given"]:
        raise OSError("--bind-address has no use with a socket unit: its ListenStream= says where")
    ports = {each.getsockname()[1] for each in sockets}
    wanted = {settings["port"], settings["tls_port"]} - {None}
    if wanted - ports or (settings["port"] is not None and ports - wanted):
        raise OSError(
            f"{_ports(wanted)} asked for, and the socket unit listens on "
            f"{', '.join(map(str, sorted(ports)))}: leave the port out, or have both say the same"
        )
    return sockets


def _ports(numbers: Collection[int]) -> str:
    listed = " and ".join(map(str, sorted(numbers)))
    return f"ports {listed} were" if len(numbers) > 1 else f"port {listed} was"


# inetd -----------------------------------------------------------------------------------------


def spare_connection() -> None:
    """Have what is printed not go to the peer: inetd's standard error is the connection."""
    for descriptor in (OUTPUT, ERRORS):
        with contextlib.suppress(OSError):
            ours, theirs = os.fstat(descriptor), os.fstat(INPUT)
            is_same = (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)
            if is_same and stat.S_ISSOCK(ours.st_mode) and _is_internet():
                _forget(descriptor)


def take_connection() -> socket.socket:
    """Return standard input as the connection that it is; it is empty afterwards.

    Raises
    ------
    OSError
        Where it is none.
    """
    try:
        connected = socket.socket(fileno=os.dup(INPUT))
    except OSError:
        raise OSError(_NO_CONNECTION) from None
    # Not whether it has a peer: who has come and gone by now, as probes do, had a connection.
    if why_not_tcp(connected) or is_listening(connected):
        connected.close()
        raise OSError(_NO_CONNECTION)
    _forget(INPUT)
    for descriptor in systemd.take_descriptors():  # the same connection once more
        os.close(descriptor)
    return connected


_NO_CONNECTION = (
    "standard input is no TCP connection: --inetd is for what inetd starts with `nowait`, or "
    "systemd with Accept=yes and StandardInput=socket"
)


def _is_internet() -> bool:
    with socket.socket(fileno=os.dup(INPUT)) as copy:
        return copy.family in (socket.AF_INET, socket.AF_INET6)


def _forget(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)
