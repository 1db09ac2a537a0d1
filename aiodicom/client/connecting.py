"""connect(): what makes a requestor."""

from __future__ import annotations

import socket
import ssl as ssl_module
from collections.abc import Iterable

from aiodicom.ae_titles import check_ae_title
from aiodicom.client.associations import Associations
from aiodicom.client.opening import Address
from aiodicom.client.requestor import Requestor
from aiodicom.limits import Timeouts
from aiodicom.wire.items import RoleSelection, SOPClassExtendedNegotiation, UserIdentity
from aiodicom.wire.proposal import VERIFICATION_CONTEXT, Context, Proposal

__all__ = ["connect"]

MAXIMUM_LENGTH = 1 << 17
WINDOW = 8


def connect(
    host: str,
    port: int,
    *,
    called_ae_title: str = "ANY-SCP",
    calling_ae_title: str = "AIODICOM",
    contexts: Iterable[tuple[str, Iterable[str]]] | None = None,
    roles: Iterable[RoleSelection] = (),
    extended: Iterable[SOPClassExtendedNegotiation] = (),
    maximum_length: int = MAXIMUM_LENGTH,
    maximum_send_length: int = 0,
    window: int = WINDOW,
    user_identity: UserIdentity | None = None,
    timeouts: Timeouts | None = None,
    family: int = socket.AF_UNSPEC,
    ssl: ssl_module.SSLContext | None = None,
    server_hostname: str | None = None,
) -> Requestor:
    """Make a DICOM requestor, to be entered with ``async with``, which asks for an association.

    Parameters
    ----------
    host : str
        The acceptor's name or IP address.
    port : int
        Its TCP port.
    called_ae_title, calling_ae_title : str
        Its AE title, and ours: 1 to 16 characters, compared with case (PS3.5 6.2).
    contexts : iterable of (str, iterable of str), optional
        What is proposed: at most 128 abstract syntaxes, each with its transfer syntaxes. By
        default Verification, and whatever the objects that are sent need.
    roles : iterable of RoleSelection, optional
        Who may be what for which SOP class (PS3.7 D.3.3.4). By default we are their user.
    extended : iterable of SOPClassExtendedNegotiation, optional
        What is asked about SOP classes besides (PS3.7 D.3.3.5).
    maximum_length : int
        The longest P-DATA-TF, in bytes, that the peer may send, by default 128 KiB; 0 for any
        (PS3.8 D.1).
    maximum_send_length : int
        The longest P-DATA-TF, in bytes, that is sent, where the peer would take longer ones; 0
        for as long as it takes.
    window : int
        How many requests may be outstanding, where the peer agrees (PS3.7 D.3.3.3), by default 8;
        0 for any.
    user_identity : UserIdentity, optional
        Who the user is (PS3.7 D.3.3.7).
    timeouts : Timeouts, optional
        How long the peer is waited for; by default 30 s for the connection, and `Timeouts()`.
    family : int
        ``socket.AF_INET`` or ``AF_INET6`` where the connection must be that.
    ssl : ssl.SSLContext, optional
        For TLS (PS3.15 B), such as `aiodicom.tls.requestor_context` makes one; by default none.
    server_hostname : str, optional
        The name that is asked for in the TLS handshake, where it is not `host`.

    Raises
    ------
    ValueError
        Where a value is out of its range.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is no TCP port: 1 to 65535")
    if maximum_send_length < 0 or 0 < maximum_send_length < 8:
        raise ValueError(f"a maximum send length of {maximum_send_length}: 0 (any), or 8 and more")
    proposed: tuple[Context, ...] = (VERIFICATION_CONTEXT,)
    if contexts is not None:
        proposed = tuple((abstract, _listed(abstract, given)) for abstract, given in contexts)
    proposal = Proposal(
        proposed,
        check_ae_title(called_ae_title),
        check_ae_title(calling_ae_title),
        maximum_length,
        window,
        user_identity,
        tuple(roles),
        tuple(extended),
    )
    associations = Associations(
        Address(host, port, family, ssl, server_hostname),
        proposal,
        timeouts or Timeouts(connection=30),
        is_automatic=contexts is None,
        maximum_send_length=maximum_send_length,
    )
    return Requestor(associations)


def _listed(abstract: str, transfer: Iterable[str]) -> tuple[str, ...]:
    if isinstance(transfer, str):  # which is several letters, and each digit would be a UID
        raise ValueError(f"{abstract} is proposed with {transfer!r}: it must be a list")
    return tuple(transfer)
