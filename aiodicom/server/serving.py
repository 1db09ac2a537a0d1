"""serve() and run(): a server of what a program wants."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ParamSpec

from aiodicom.acceptor.association import Service
from aiodicom.access.rules import AccessRules
from aiodicom.events import Watcher
from aiodicom.limits import Limits, Timeouts
from aiodicom.listening import Listener
from aiodicom.requests import Authorize, EchoHandler, StoreHandler
from aiodicom.server.server import Server
from aiodicom.wire.negotiation import make_policy

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiodicom.tls import AcceptorTLS

__all__ = ["run", "serve"]

PORT = 11112
"""The TCP port where nothing is said: the one that is registered for DICOM beside 104."""

MAXIMUM_LENGTH = 1 << 17
"""Bytes of a P-DATA-TF that peers are told: few heads, and the most that DCMTK's senders use."""

_P = ParamSpec("_P")


def serve(
    *,
    store: StoreHandler | None = None,
    echo: EchoHandler | None = None,
    watchers: Sequence[Watcher] = (),
    # Where it is to be found.
    ae_title: str = "AIODICOM",
    host: str | None = None,
    port: int | None = None,
    ssl: SSLContext | AcceptorTLS | None = None,
    listeners: Sequence[Listener] | None = None,
    sockets: Sequence[socket.socket] | None = None,
    # Who may associate, and what is agreed on with them.
    access: AccessRules | None = None,
    authorize: Authorize | None = None,
    transfer_syntaxes: Sequence[str] | None = None,
    contexts: Mapping[str, Sequence[str]] | None = None,
    maximum_length: int = MAXIMUM_LENGTH,
    window: int = 1,
    # What that may cost.
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    grace: float = 5,
    workers: int = 1,
) -> Server:
    """Make a DICOM acceptor, to be entered with ``async with``.

    It runs in the event loop that enters it, and installs neither signal handlers nor logging.
    Everything has a default; most programs say `store`, `ae_title` and `port`. What there is, in
    groups:

    - what becomes of requests: `store`, `echo`, and `watchers`, who hear of everything;
    - where it is to be found: `ae_title`, with `host`, `port` and `ssl`, or with several
      `listeners`, or with `sockets` that somebody else has opened;
    - who may associate: `access`, `authorize`;
    - what is agreed on with them: `transfer_syntaxes` or `contexts`, `maximum_length`, `window`;
    - what that may cost, and how long it may take: `limits`, `timeouts`, `grace`, `workers`.

    Parameters
    ----------
    store : StoreHandler, optional
        Stores objects: a coroutine function that is given each `StoreRequest`, or a `FileStorage`.
        Without it no storage SOP class is accepted. A handler that is an asynchronous context
        manager as well is entered with the server.
    echo : EchoHandler, optional
        Answers C-ECHO; without it C-ECHO is answered with success.
    watchers : sequence of aiodicom.events.Watcher, optional
        Each is called with every event of `aiodicom.events`, and returns at once. One that is an
        asynchronous context manager as well is entered before the handlers, and left after them.
    ae_title : str
        The server's own AE title: 1 to 16 characters (PS3.5 6.2). It answers to any other one
        too, unless `access` says otherwise.
    host : str, optional
        A name or address to listen on; by default all interfaces, IPv4 and IPv6.
    port : int, optional
        A TCP port, by default 11112; 0 for any that is free (see `Server.port`).
    ssl : ssl.SSLContext or aiodicom.tls.AcceptorTLS, optional
        Makes every connection one of TLS (PS3.15 B); by default none is. Files of an
        ``AcceptorTLS`` can be replaced while the server runs.
    listeners : sequence of Listener, optional
        Several ports, each with its host and its TLS, in place of `port`, `host` and `ssl`. All
        limits hold over all of them; which one an association came to is its
        `AssociationInfo.local_port`. Where one cannot be listened on none is.
    sockets : sequence of socket.socket, optional
        What to listen on, instead of `host` and `port`: TCP sockets that listen already, such as
        those of `aiodicom.systemd.take_sockets`. They are the server's from its start on. Others
        who have them may go on accepting when it stops. With `listeners` each socket has the TLS
        of the listener of its port, else of the one of port 0; each needs one, and each listener
        of another port than 0 needs a socket.
    access : Access, AccessFile or AccessRules, optional
        Who may associate; asked before `authorize`. By default everybody.
    authorize : Authorize, optional
        Awaited before an association is accepted; raises `AssociationRejected`.
    transfer_syntaxes : sequence of str, optional
        The only transfer syntaxes to accept, as UIDs, preferred ones first. By default all are:
        the requestor's first choice where that is compressed, else Explicit VR Little Endian,
        Explicit VR Big Endian, Implicit VR Little Endian.
    contexts : mapping of str to sequence of str, optional
        The only abstract syntaxes (SOP classes) to accept, each with its transfer syntaxes,
        preferred ones first, all as UIDs. Verification is one of them, or is not accepted.
    maximum_length : int
        The longest P-DATA-TF, in bytes, that peers may send, by default 128 KiB; 0 for any
        (PS3.8 D.1).
    window : int
        Requests of one association that are served at a time, where its requestor asks for an
        asynchronous operations window (PS3.7 D.3.3.3); 0 is as many as it asks for. Handlers
        are then called concurrently for one association, and answered as they return.
    limits : Limits, optional
        What peers may cost, all of them together; by default `Limits()`.
    timeouts : Timeouts, optional
        How long they are waited for; by default `Timeouts()`.
    grace : float
        Seconds that running stores have when the server stops.
    workers : int
        How many processes `Server.run` makes, on one port. Limits hold for all of them together,
        and each one has its part of ``Limits.buffered_bytes``. Handlers are entered in every one,
        and share nothing. A server of several cannot be entered.

    Returns
    -------
    Server
        It listens once it is entered, or run.

    Raises
    ------
    ValueError
        Where a value is out of its range, or `listeners` comes with what it replaces, or
        `contexts` with `transfer_syntaxes`, or a socket of `sockets` does not listen.
    """
    _check_uids(transfer_syntaxes or (), "transfer_syntaxes")
    for abstract_syntax, of_it in (contexts or {}).items():
        _check_uids((abstract_syntax,), "contexts")
        _check_uids(of_it, f"contexts: that of {abstract_syntax}")
    policy = make_policy(
        stores=store is not None,
        maximum_length=maximum_length,
        window=window,
        transfer_syntaxes=transfer_syntaxes,
        contexts=contexts,
    )
    return Server(
        Service(policy, store, echo, authorize, access),
        ae_title=ae_title,
        listeners=_listeners(listeners, host, port, ssl, has_sockets=sockets is not None),
        limits=limits,
        timeouts=timeouts,
        grace=grace,
        workers=workers,
        sockets=sockets,
        watchers=watchers,
    )


def _check_uids(uids: Sequence[str], name: str) -> None:
    """Check that something is a list of UIDs: what is none is proposed by nobody, nor missed.

    Raises
    ------
    ValueError
        Where it is not.
    """
    if isinstance(uids, str):  # which is several letters
        raise ValueError(f"{name} is {uids!r}: it must be a list")
    for uid in uids:
        if not uid or uid.strip(".0123456789"):
            raise ValueError(f"{uid!r} is no UID, of {name}: digits and periods (PS3.5 9.1)")


def _listeners(
    listeners: Sequence[Listener] | None,
    host: str | None,
    port: int | None,
    ssl: SSLContext | AcceptorTLS | None,
    *,
    has_sockets: bool,
) -> Sequence[Listener]:
    """Return what is listened on: what `listeners` says, or the others say together.

    Raises
    ------
    ValueError
        Where both do.
    """
    if listeners is None:
        one = Listener(PORT if port is None else port, host, ssl)
        return [Listener(0, ssl=ssl) if has_sockets else one]
    for name, value in (("port", port), ("host", host), ("ssl", ssl)):
        if value is not None:
            raise ValueError(f"{name} and listeners: say it in each Listener, Listener({name}=...)")
    return listeners


def _ran(make: Callable[_P, Server]) -> Callable[_P, None]:
    """Return what makes a server and runs it, with the parameters of what makes it."""

    @functools.wraps(make, assigned=(), updated=())  # for its signature
    def run(*args: _P.args, **settings: _P.kwargs) -> None:
        """Serve until SIGINT or SIGTERM, on uvloop where that is installed.

        For a program that is a DICOM receiver and nothing else. The parameters are those of
        `serve`; see `Server.run`.

        Raises
        ------
        ValueError
            As `serve`.
        OSError
            Where the port cannot be listened on, or a handler cannot be set up.
        """
        make(*args, **settings).run()

    return run


run = _ran(serve)
