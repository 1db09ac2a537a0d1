"""Words for values that are in several chapters."""

from __future__ import annotations

from aiodicom.conformance.configurations import Acceptor, Requestor

__all__ = ["NONE", "length", "number", "port", "role", "seconds", "window"]

NONE = "None."


def seconds(value: float | None) -> str:
    """Return a time."""
    return "unlimited" if value is None else f"{value:g} s"


def number(value: int | None) -> str:
    """Return a number that may be no limit."""
    return "unlimited" if value is None else str(value)


def length(value: int) -> str:
    """Return the length of a PDU, of which 0 is any."""
    return f"{value} bytes" if value else "unlimited (0)"


def window(value: int) -> str:
    """Return how many operations may be outstanding, of which 0 is any."""
    return str(value) if value else "unlimited"


def port(of: Acceptor | Requestor) -> str:
    """Return the TCP port, which may be said at the start."""
    if isinstance(of, Acceptor) and of.is_inetd:
        return "inetd's"
    return str(of.port) if of.port is not None else "said when it is started"


def role(of: Acceptor | Requestor) -> str:
    """Return what it is called in a sentence."""
    return "receiver" if isinstance(of, Acceptor) else "sender"
