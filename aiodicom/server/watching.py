"""Those who watch a server: told of what happens, and prepared, forked and closed with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from aiodicom.events import Event, Watcher
from aiodicom.failures import log_failure
from aiodicom.seldom import Seldom

__all__ = ["Watchers"]

logger = logging.getLogger("aiodicom.server")


class Watchers:
    """All watchers of a server. What one of them raises is logged, and changes nothing.

    Parameters
    ----------
    watchers : sequence of callable
        Each is called with every event. It may have methods that are called at moments of a
        server's life: ``share``, ``work``, ``restarted`` and ``close``.
    seldom : Seldom
        Logs what they raise.
    """

    def __init__(self, watchers: Sequence[Watcher], seldom: Seldom) -> None:
        self._watchers = tuple(watchers)
        self._seldom = seldom
        self._shared: list[Watcher] = []

    def __iter__(self) -> Iterator[Watcher]:
        return iter(self._watchers)

    @property
    def teller(self) -> Callable[[Event], None] | None:
        """What tells all of them of an event; None where nobody watches.

        A watcher may have an attribute ``hear``: what is called instead of it, or None where it
        need not hear of what happens in associations.
        """
        hears = [getattr(watcher, "hear", watcher) for watcher in self._watchers]
        hears = [hear for hear in hears if hear is not None]
        if len(hears) == 1:
            return self._teller_of(hears[0])

        def tell(event: Event) -> None:
            for hear in hears:
                try:
                    hear(event)
                except (Exception, asyncio.CancelledError) as error:
                    self._log(error)

        return tell if hears else None

    def _teller_of(self, hear: Watcher) -> Callable[[Event], None]:
        """Return what tells one watcher: that of many costs twice as much."""

        def tell(event: Event) -> None:
            try:
                hear(event)
            except (Exception, asyncio.CancelledError) as error:
                self._log(error)

        return tell

    def tell(self, event: Event) -> None:
        """Tell all of them of an event."""
        for watcher in self._watchers:
            try:
                watcher(event)
            except (Exception, asyncio.CancelledError) as error:
                self._log(error)

    def share(self, workers: int) -> None:
        """Before any process is forked: have them make what all will share.

        Raises
        ------
        Exception
            What one of them raises: the server cannot start. Those before it are closed.
        """
        try:
            for watcher in self._watchers:
                self._shared.append(watcher)
                _call(watcher, "share", workers)
        except BaseException:
            self.close()
            raise

    def work(self, index: int) -> None:
        """In a worker, after the fork: tell them which one it is."""
        for watcher in self._watchers:
            _call(watcher, "work", index)

    def restarted(self, index: int) -> None:
        """In the parent: tell them that a worker that had served has died and is replaced."""
        for watcher in self._watchers:
            try:
                _call(watcher, "restarted", index)
            except Exception as error:
                self._log(error)

    def close(self) -> None:
        """Where `share` was called: have them let go of it. A second call does nothing."""
        while self._shared:
            try:
                _call(self._shared.pop(), "close")
            except Exception as error:
                self._log(error)

    def _log(self, error: BaseException) -> None:
        log_failure(logger, "A watcher failed", error, self._seldom)


def _call(watcher: Watcher, name: str, *arguments: int) -> None:
    method = getattr(watcher, name, None)
    if method is not None:
        method(*arguments)
