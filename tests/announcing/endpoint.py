"""An HTTP server that answers as a script says, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

HANGS, CLOSES = "hangs", "closes"


@dataclass(frozen=True, slots=True)
class Posted:
    """A request that came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


class Endpoint:
    """Answers requests.

    Parameters
    ----------
    answers : int, str, bytes or tuple
        What it does with one request after the other: a status, alone or with headers; bytes as
        they are; `HANGS` or `CLOSES`. After the last one it answers 204.
    """

    def __init__(self, *answers: int | str | bytes | tuple[int, str]) -> None:
        self.posted: list[Posted] = []
        self.connections = 0
        self.port = 0
        self._answers = list(answers)
        self._served: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def uids(self) -> list[str]:
        return [each.event["subject"] for each in self.posted]

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._served[task] = writer
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._serve(reader, writer):
                    pass
        finally:
            del self._served[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (each.partition(": ") for each in rest if each)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.posted.append(Posted(line, headers, body))
        answer = self._answers.pop(0) if self._answers else 204
        if answer == HANGS:
            await reader.read()  # until the client has gone
        if isinstance(answer, str):
            return False
        if not isinstance(answer, bytes):
            status, more = answer if isinstance(answer, tuple) else (answer, "")
            answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{more}\r\n".encode()
        writer.write(answer)
        await writer.drain()
        return True

    async def close(self) -> None:
        for writer in self._served.values():
            writer.transport.abort()
        await asyncio.gather(*self._served)


@contextlib.asynccontextmanager
async def answering(*answers: int | str | bytes | tuple[int, str]) -> AsyncIterator[Endpoint]:
    """Have an endpoint on a free port of the loopback."""
    endpoint = Endpoint(*answers)
    server = await asyncio.start_server(endpoint.connected, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield endpoint
        finally:
            await endpoint.close()
