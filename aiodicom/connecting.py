"""Opening an association: the connection, TLS, and the answer to our A-ASSOCIATE-RQ."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass

from aiodicom.access import Timeouts
from aiodicom.errors import AssociationLost
from aiodicom.requestor import RequestorAssociation
from aiodicom.wire.buffers import Pool
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
    except TimeoutError:
        seconds = timeouts.connection or 0
        raise AssociationLost(f"no connection to {address} within {seconds:g} s") from None
    except ssl.SSLError as error:
        raise AssociationLost(f"no TLS with {address}: {_tls_reason(error)}") from None
    except OSError as error:
        raise AssociationLost(f"cannot connect to {address}: {_reason(error)}") from None
    try:
        await association.opened()
    except BaseException:
        association.abort()
        await association.closed()
        raise
    return association


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


def _reason(error: OSError) -> str:
    """Return what the operating system says, without what asyncio adds to it."""
    if isinstance(error, socket.gaierror):
        return error.strerror or "the name is not known"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate does not verify: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()
