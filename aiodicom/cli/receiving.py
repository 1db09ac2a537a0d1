"""What the receiving commands share: from a command line's settings to a server that runs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiodicom.acceptor.association import Service
from aiodicom.cli.access import ACCESS_DEFAULTS, access_of
from aiodicom.cli.common import DEFAULTS, failing_with
from aiodicom.cli.ending import sockets_of, take_connection
from aiodicom.cli.http import HTTP_DEFAULTS, pages_of
from aiodicom.cli.limits import LIMIT_DEFAULTS, limits_of
from aiodicom.cli.network import listeners_of, timeouts_of
from aiodicom.cli.profiles import profile_of
from aiodicom.cli.tls import ACCEPTOR_TLS_DEFAULTS, acceptor_tls
from aiodicom.cli.watching import WATCHING_DEFAULTS, watchers_of
from aiodicom.errors import DicomError
from aiodicom.events import Watcher
from aiodicom.requests import Authorize, StoreHandler
from aiodicom.server.server import Server
from aiodicom.wire.negotiation import Policy, Role, make_policy

__all__ = [
    "RECEIVER_DEFAULTS",
    "ExitCodes",
    "Receiving",
    "policy_of",
    "run",
    "server_of",
]

RECEIVER_DEFAULTS: Mapping[str, object] = {
    **DEFAULTS,
    **ACCEPTOR_TLS_DEFAULTS,
    **ACCESS_DEFAULTS,
    **LIMIT_DEFAULTS,
    **WATCHING_DEFAULTS,
    **HTTP_DEFAULTS,
    "verbose_pc": False,
    "host": None,
    "association": 30.0,
    "workers": 1,
    "grace": 5.0,
}
"""What stands of the options of all receivers where nothing is said."""

NO_CONNECTION = 99
"""The exit code where inetd's connection is not there, as DCMTK has it."""


@dataclass(frozen=True, slots=True)
class ExitCodes:
    """What a command ends with where it cannot start."""

    folder: int = 1
    listening: int = 1
    profile: int = 1
    tls: int = 1


_ONE = ExitCodes()


@dataclass(frozen=True, slots=True)
class Receiving:
    """What a command does for its peers, besides what is negotiated.

    Parameters
    ----------
    store : callable or None
        The store handler.
    authorize : callable or None
        Called before an association is accepted.
    watchers : tuple of callable
        Told of what happens.
    rest : float
        Seconds between the response to a C-STORE and what comes next.
    """

    store: StoreHandler | None = None
    authorize: Authorize | None = None
    watchers: tuple[Watcher, ...] = ()
    rest: float = 0


# Negotiation -----------------------------------------------------------------------------------


def policy_of(
    settings: Mapping[str, Any],
    *,
    stores: bool = True,
    verifies: bool = True,
    code: int = 1,
) -> Policy:
    """Return what a command line agrees to; warns of what in a profile has no effect.

    Raises
    ------
    Failed
        Where its profile cannot be used; with that exit code.
    """
    length, window = settings["maximum_length"], settings.get("window", 1)
    profile = profile_of(settings, receiving=True, code=code)
    if profile is None:
        return make_policy(
            stores=stores,
            verifies=verifies,
            transfer_syntaxes=settings.get("preference"),
            maximum_length=length,
            window=window,
        )
    contexts = dict(profile.contexts)
    policy = make_policy(contexts=contexts, maximum_length=length, window=window)
    roles = {uid: Role[role] for uid, role in profile.roles.items()}
    return dataclasses.replace(policy, roles=roles, extended=profile.extended)


# The server ------------------------------------------------------------------------------------


def server_of(
    settings: Mapping[str, Any],
    policy: Policy,
    receiving: Receiving,
    codes: ExitCodes = _ONE,
) -> Server:
    """Return the server that a command line asks for. It reads the files of TLS and access.

    Raises
    ------
    Failed
        Where there cannot be one.
    """
    with failing_with(codes.profile, DicomError):
        access = access_of(settings)
    with failing_with(codes.tls, DicomError):
        ssl = acceptor_tls(settings)
    with failing_with(codes.listening, OSError):
        sockets = None if settings.get("inetd") else sockets_of(settings)
    level = logging.INFO if settings["verbose_pc"] else logging.DEBUG
    service = Service(
        policy,
        receiving.store,
        authorize=receiving.authorize,
        access=access,
        parameters_level=level,
        rest=receiving.rest,
    )
    return Server(
        service,
        ae_title=settings["ae_title"],
        listeners=listeners_of(settings, ssl),
        limits=limits_of(settings),
        timeouts=timeouts_of(settings),
        grace=settings["grace"],
        workers=settings["workers"],
        sockets=sockets,
        watchers=(
            *receiving.watchers,
            *watchers_of(settings),
            *pages_of(settings, getattr(receiving.store, "room", None)),
        ),
    )


def run(server: Server, codes: ExitCodes = _ONE, *, inetd: bool = False) -> None:
    """Run a server until SIGINT or SIGTERM, or for the one connection that inetd has accepted.

    Raises
    ------
    Failed
        Where it cannot start.
    """
    with failing_with(NO_CONNECTION, OSError):
        connected = take_connection() if inetd else None
    with failing_with(codes.listening, OSError):
        server.run(connected, is_last=True)
