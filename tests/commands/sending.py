"""storescu beside the test, and acceptors that keep what it asks for and sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiodicom
from aiodicom import storescu
from aiodicom.wire.dimse import Status
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.pdu import AssociateRequest
from tests.scripted_acceptor import Acceptor, Caller, Received
from tests.serving import serving

Words = str | Path


async def run(port: int, *words: Words, host: str = "127.0.0.1") -> int:
    """Run the command in a thread of its own, and return its exit code."""
    return await asyncio.to_thread(storescu.storescu, [host, str(port), *map(str, words)])


class Recorder:
    """A script that accepts everything, stores everything, and keeps it.

    Parameters
    ----------
    statuses : int
        Answers to the first objects; success to those after them.
    """

    def __init__(self, *statuses: int) -> None:
        self.requests: list[AssociateRequest] = []
        self.objects: list[Received] = []
        self.accepts: dict[str, str] = {}
        self._statuses = list(statuses)

    async def __call__(self, caller: Caller) -> None:
        self.requests.append(await caller.accept())
        while (received := await caller.store_or_release()) is not None:
            self.objects.append(received)
            status = self._statuses.pop(0) if self._statuses else Status.SUCCESS
            await caller.respond(received, status)

    @property
    def uids(self) -> list[str]:
        return [received.uid for received in self.objects]

    def proposed(self, abstract_syntax: str) -> list[tuple[str, ...]]:
        """The transfer syntaxes of each context of an abstract syntax."""
        return [
            context.transfer_syntaxes
            for context in self.contexts
            if context.abstract_syntax == abstract_syntax
        ]

    @property
    def contexts(self) -> tuple[ProposedContext, ...]:
        (request,) = self.requests
        return request.presentation_contexts


async def answered(script: Callable[[Caller], Awaitable[object]], *words: Words) -> int:
    """Run the command against a script, which must come to its end; return its exit code."""
    acceptor = Acceptor(script)
    server = await asyncio.start_server(acceptor.connected, "127.0.0.1", 0)
    async with server:
        code = await run(server.sockets[0].getsockname()[1], *words)
        await acceptor.ended()
    return code


async def recorded(*words: Words) -> Recorder:
    """Run the command against a recorder; everything must be stored."""
    recorder = Recorder()
    assert await answered(recorder, *words) == 0
    return recorder


async def refused(words: list[Words], status: int) -> int:
    """Run the command against a server that refuses everything; return its exit code."""

    async def refuse(request: aiodicom.StoreRequest) -> int:
        raise aiodicom.Refused(status, "no room")

    async with serving(store=refuse) as server:
        return await run(server.port, *words)
