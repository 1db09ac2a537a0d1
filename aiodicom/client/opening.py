"""Opening an association: the connection, TLS, and the answer to our A-ASSOCIATE-RQ."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass

from aiodicom.client.association import RequestorAssociation
from aiodicom.describe import system_reason
from aiodicom.errors import AssociationClosed, AssociationLost
from aiodicom.limits import Timeouts
from aiodicom.wire.buffers import Pool
from aiodicom.wire.items import UserIdentityResponse
from aiodicom.wire.proposal import Proposal

__all__ = ["Address", "open_association"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an acceptor is, and how it is reached.

    Parameters
    ----------
    host : str
        Its name or IP address.
    port : int
        Its TCP port.
    family : int
        ``socket.AF_INET`` or ``AF_INET6`` where it must be that; 0 is any.
    ssl : ssl.SSLContext or None
        For TLS.
    server_hostname : str or None
        The name that is asked for in the TLS handshake, where it is not `host`.
    """

    host: str
    port: int
    family: int = socket.AF_UNSPEC
    ssl: ssl.SSLContext | None = None
    server_hostname: str | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def open_association(
    address: Address, proposal: Proposal, timeouts: Timeouts, pool: Pool
) -> RequestorAssociation:
    """Connect, and ask for an association.

    Raises
    ------
    AssociationRejected
        Where the peer says no.
    AssociationClosed
        Where there is no connection, or no answer in time.
    """
    association = RequestorAssociation(pool, proposal, timeouts)
    try:
        async with asyncio.timeout(timeouts.connection):
            await _connect(address, association)
    except ssl.SSLError as error:
        raise AssociationLost(f"no TLS with {address}: {system_reason(error)}") from None
    except OSError as error:
        if isinstance(error, TimeoutError) and error.errno is None and timeouts.connection:
            within = f"within {timeouts.connection:g} s"
            raise AssociationLost(f"no connection to {address} {within}") from None
        raise AssociationLost(f"cannot connect to {address}: {system_reason(error)}") from None
    except UnicodeError:
        raise AssociationLost(f"cannot connect to {address}: that is no host name") from None
    try:
        await association.opened()
        _check_identity(proposal, association)
    except BaseException:
        association.abort()
        await association.closed()
        raise
    return association


def _check_identity(proposal: Proposal, association: RequestorAssociation) -> None:
    """Check that a user identity was confirmed, where that was asked for (PS3.7 D.3.3.7.2)."""
    identity = proposal.user_identity
    if identity is None or not identity.positive_response_requested:
        return
    if association.agreed.accept.user_item(UserIdentityResponse) is None:
        raise AssociationClosed("the peer has not confirmed the user identity")


async def _connect(address: Address, association: RequestorAssociation) -> None:
    hostname = address.server_hostname if address.ssl is not None else None
    if address.ssl is not None and hostname is None:
        hostname = address.host
    await asyncio.get_running_loop().create_connection(
        lambda: association,
        address.host,
        address.port,
        family=address.family,
        ssl=address.ssl,
        server_hostname=hostname,
    )
