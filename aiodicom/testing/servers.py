"""Servers on a free port of the loopback: in the test's event loop, or in a thread of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeVar

from anyio.from_thread import start_blocking_portal

from aiodicom.requests import StoreHandler
from aiodicom.server.server import Server
from aiodicom.server.serving import serve
from aiodicom.testing.collector import Collector

__all__ = ["ServerThread", "in_thread", "server"]

_T = TypeVar("_T")


def server(store: StoreHandler | None = None, **settings: Any) -> Server:
    """Make a server on a free port of 127.0.0.1, to be entered with ``async with``.

    Parameters
    ----------
    store : callable, optional
        Stores objects.
    **settings
        Whatever `aiodicom.serve` takes; of several `listeners` each says where it listens. By
        default the grace is no time at all: a test that has ended waits for nobody.

    Returns
    -------
    Server
        Its `port` is known once it is entered.
    """
    if settings.get("listeners") is None:
        settings = {"host": "127.0.0.1", "port": 0, **settings}
    return serve(**{"store": store, "grace": 0, **settings})


@contextlib.contextmanager
def in_thread(manager: AbstractAsyncContextManager[_T]) -> Iterator[_T]:
    """Enter an asynchronous context manager in an event loop of its own, in another thread.

    For tests that have no event loop, or block theirs.
    """
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(manager) as entered,
    ):
        yield entered


class ServerThread:
    """A server with an event loop and a thread of its own; a context manager.

    Parameters
    ----------
    store : callable, optional
        Stores objects, in that thread; by default a `Collector`.
    **settings
        Whatever `aiodicom.serve` takes; see `server`.

    Attributes
    ----------
    collector : Collector
        What has come; empty where `store` is something else.
    """

    def __init__(self, store: StoreHandler | None = None, **settings: Any) -> None:
        self.collector = Collector()
        self._server = server(self.collector if store is None else store, **settings)
        self._entered = contextlib.ExitStack()

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._server.addresses[0][0]

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        return self._server.port

    @property
    def ae_title(self) -> str:
        """Its AE title."""
        return self._server.ae_title

    @property
    def associations(self) -> int:
        """How many associations there are now, their running handlers included."""
        return self._server.associations

    def __enter__(self) -> Self:
        self._entered.enter_context(in_thread(self._server))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._entered.close()
