"""What systemd hands to a service, and is told by it: sd_listen_fds(3) and sd_notify(3).

Nothing of systemd's is needed for it: these are variables of the environment, and a datagram. So
every supervisor that does the same can be used.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping

from aiodicom.listening import why_not_listening

__all__ = ["Notifier", "has_sockets", "take_descriptors", "take_sockets"]

logger = logging.getLogger("aiodicom.systemd")

FIRST = 3
"""The first descriptor that is handed over."""


def has_sockets(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process was handed sockets, and not one that it was started by."""
    return environ.get("LISTEN_PID") == str(os.getpid()) and environ.get("LISTEN_FDS", "0") != "0"


def take_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Return the listening sockets that this process was handed, for ``serve(sockets=)``.

    Processes that this one starts get neither the sockets nor the variables that tell of them.

    Parameters
    ----------
    environ : mapping of str to str
        Where ``LISTEN_PID``, ``LISTEN_FDS`` and ``LISTEN_FDNAMES`` are; they are removed. Without
        them, and where they are another process's, there is no socket.

    Returns
    -------
    list of socket.socket
        The caller's own.

    Raises
    ------
    OSError
        Where one of them is not a socket that listens on a TCP port.
    """
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    taken: list[socket.socket] = []
    try:
        for index, descriptor in enumerate(take_descriptors(environ)):
            taken.append(_take(descriptor, names[index] if index < len(names) else ""))
    except OSError:
        for each in taken:
            each.close()
        raise
    return taken


def take_descriptors(environ: MutableMapping[str, str] = os.environ) -> range:
    """Return the numbers of what this process was handed; the variables are removed.

    Raises
    ------
    OSError
        Where they say nothing that can be understood.
    """
    is_ours = has_sockets(environ)
    count = environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    if not is_ours:
        return range(0)
    if not count.isdecimal():
        raise OSError(f"LISTEN_FDS is {count!r}: it must be how many sockets there are")
    return range(FIRST, FIRST + int(count))


def _take(descriptor: int, name: str) -> socket.socket:
    what = f"descriptor {descriptor}" + (f" ({name})" if name else "")
    try:
        os.set_inheritable(descriptor, False)
        taken = socket.socket(fileno=descriptor)
    except OSError as error:
        reason = f"{what}, which LISTEN_FDS speaks of, is no socket: {error.strerror}"
        raise OSError(error.errno, reason) from None
    why = why_not_listening(taken)
    if why:
        taken.detach()
        raise OSError(f"{what}, which LISTEN_FDS speaks of, {why}: see ListenStream= of its unit")
    return taken


class Notifier:
    """Tells the service manager how it is, where one wants to know.

    To tell never fails and never waits: what is not taken is lost.

    Parameters
    ----------
    environ : mapping of str to str
        Where ``NOTIFY_SOCKET`` is, the path of a socket or, with an ``@``, an abstract name; and
        ``WATCHDOG_USEC`` with ``WATCHDOG_PID``.

    Attributes
    ----------
    watchdog : float or None
        Seconds after which `alive` is to be called again; None where nobody waits for that.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""
        self.watchdog = _watchdog(environ) if address else None

    def ready(self, status: str) -> None:
        """Tell that it serves.

        Parameters
        ----------
        status : str
            One line for people.
        """
        self._status = status
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Tell that it reads files again; `reloaded` follows."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Tell that it serves with what was read."""
        self.ready(self._status)

    def stopping(self) -> None:
        """Tell that it stops."""
        self._tell("STOPPING=1", "STATUS=Stopping")

    def alive(self) -> None:
        """Tell that it is not stuck."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.setblocking(False)
                sending.sendto("\n".join(lines).encode(), self._address)
        except (OSError, ValueError) as error:
            logger.debug("NOTIFY_SOCKET does not take %s: %s", lines[0], error)


def _watchdog(environ: Mapping[str, str]) -> float | None:
    period = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", "")
    if not period.isdecimal() or int(period) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(period) / 2_000_000
