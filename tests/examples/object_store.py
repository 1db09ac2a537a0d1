"""An HTTP object store that takes PUT, for a test."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiohttp import web


class ObjectStore:
    """Keeps what is put into it; an asynchronous context manager.

    Parameters
    ----------
    status : int
        What it answers.

    Attributes
    ----------
    url : str
        Where it is.
    begun : int
        How many files have begun to come.
    files : dict of str to bytes
        What has come whole, by its path.
    """

    def __init__(self, status: int = 201) -> None:
        self.url = ""
        self.begun = 0
        self.files: dict[str, bytes] = {}
        self._status = status
        self._runner: web.AppRunner

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_put("/{path:.*}", self._put)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/bucket"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _put(self, request: web.Request) -> web.Response:
        self.begun += 1
        self.files[request.path] = await request.read()
        return web.Response(status=self._status)
