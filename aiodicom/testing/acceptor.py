"""accepting(): scripted peers that are connected to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from aiodicom.testing.peer import ScriptedPeer

__all__ = ["Script", "ScriptedAcceptor", "accepting"]

Script = Callable[[ScriptedPeer], Awaitable[object]]
"""What a peer does on one connection; the connection ends with it."""


class ScriptedAcceptor:
    """What listens for `accepting`, and what has come of it.

    Attributes
    ----------
    host : str
        The address that it listens on.
    port : int
        The TCP port that it listens on.
    peers : list of ScriptedPeer
        Our ends of the connections that have come, in order.
    failures : list of BaseException
        What went wrong in scripts.
    """

    def __init__(self, host: str, port: int, scripts: tuple[Script, ...]) -> None:
        self.host, self.port = host, port
        self.peers: list[ScriptedPeer] = []
        self.failures: list[BaseException] = []
        self._scripts = scripts
        self._running: set[asyncio.Task[None]] = set()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin the next script, with a connection that has come."""
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(ScriptedPeer.of(reader, writer))
        # A task of our own: asyncio would log that it was cancelled.
        task = asyncio.create_task(self._run(script, self.peers[-1]))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, script: Script, peer: ScriptedPeer) -> None:
        try:
            await script(peer)
        except (EOFError, ConnectionError):
            pass  # the requestor went before the script had come to its end
        except Exception as error:
            self.failures.append(error)
        finally:
            await peer.close()

    async def stop(self) -> None:
        """End the scripts that still run."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@contextlib.asynccontextmanager
async def accepting(
    *scripts: Script, receive_buffer: int | None = None
) -> AsyncIterator[ScriptedAcceptor]:
    """Listen on a free port of 127.0.0.1, and run a script for each connection that comes.

    Connections that come after the last script was used are served by that one as well. What
    still runs in the end is cancelled.

    Parameters
    ----------
    *scripts : callable
        Asynchronous, called with a `ScriptedPeer`; see `scripts` for some.
    receive_buffer : int, optional
        About how many bytes the kernel keeps for a script that does not read.

    Raises
    ------
    AssertionError
        At the end, where a script was sent something else than it expected. Whatever else a
        script has raised is raised as well.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    if receive_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    host, port = listening.getsockname()
    acceptor = ScriptedAcceptor(host, port, scripts)
    limit = 1 << 16 if receive_buffer is None else receive_buffer
    server = await asyncio.start_server(acceptor.connected, sock=listening, limit=limit)
    try:
        yield acceptor
    finally:
        server.close()
        await acceptor.stop()
        await server.wait_closed()
    if acceptor.failures:
        raise acceptor.failures[0]
