"""The pages as an ASGI application, for a server of its own or within another one."""

from __future__ import annotations

import importlib.resources
import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from aiodicom.http.guard import Guard
from aiodicom.monitor import Monitor
from aiodicom.monitor.prometheus import exposition
from aiodicom.monitor.rates import SECONDS
from aiodicom.monitor.totals import BOUNDS

__all__ = ["application"]

SHARED = 0.4
"""Seconds for which all who look at the page are shown the same."""

SCRAPED = 0.1
"""Seconds for which the metrics are the same."""

RECENT = 8
"""Seconds of rates that are told to who knows those before."""

_FOLDER = importlib.resources.files("aiodicom.http") / "page"

FILES = tuple(
    (path, (_FOLDER / name).read_bytes(), kind)
    for path, name, kind in (
        ("/", "index.html", "text/html"),
        ("/page.css", "page.css", "text/css"),
        ("/page.js", "page.js", "text/javascript"),
        ("/icon.svg", "icon.svg", "image/svg+xml"),
    )
)
"""Read with this module, not while a loop runs."""


def application(monitor: Monitor, *, loopback_only: bool = False) -> Starlette:
    """Return the pages of a server as an application that can be mounted in another one.

    Parameters
    ----------
    monitor : Monitor
        What they show; a watcher of the server.
    loopback_only : bool
        Whether only requests for a name of this machine are answered, as `Pages` has it.

    Returns
    -------
    starlette.applications.Starlette
        ``/`` the live page; ``/metrics``, ``/healthz``, ``/readyz``, ``/associations``.
    """
    pages = _Pages(monitor)
    return Starlette(
        routes=[
            *(_file(*file) for file in FILES),
            Route("/live", pages.live),
            Route("/metrics", pages.metrics),
            Route("/healthz", pages.healthz),
            Route("/readyz", pages.readyz),
            Route("/associations", pages.associations),
        ],
        middleware=[Middleware(Guard, loopback_only=loopback_only)],
    )


def _file(path: str, data: bytes, kind: str) -> Route:
    async def answer(request: Request) -> Response:
        return Response(data, media_type=kind)

    return Route(path, answer)


class _Pages:
    """What is asked for, of one monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._snapshot: Mapping[str, Any] = {}
        self._taken_at = -SHARED
        self._bodies: dict[int, bytes] = {}
        self._metrics: dict[str, tuple[bytes, str]] = {}

    async def live(self, request: Request) -> Response:
        """Answer what the page shows: rates from before the second ``after``, or all of them."""
        await self._look(SHARED)
        last = self._snapshot["rates"]["second"]
        number = request.query_params.get("after", "")
        after = int(number) if number.isascii() and number.isdigit() and len(number) < 12 else 0
        seconds = RECENT if last - after <= RECENT else SECONDS
        body = self._bodies.get(seconds)
        if body is None:
            body = self._bodies[seconds] = _body(self._snapshot, seconds)
        return Response(body, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """Answer all metrics, in the format that is asked for."""
        await self._look(SCRAPED)
        accept = request.headers.get("accept", "")
        if accept not in self._metrics:
            self._metrics = {accept: exposition(self._snapshot, accept)}
        body, kind = self._metrics[accept]
        return Response(body, headers={"content-type": kind})

    async def healthz(self, request: Request) -> Response:
        """Answer that the event loop goes round."""
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """Answer whether objects would be taken, and if not, why."""
        await self._monitor.refresh()
        reasons = [] if self._monitor.is_listening else ["no connections are accepted"]
        if self._monitor.lacking:
            reasons.append(self._monitor.lacking)
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def associations(self, request: Request) -> Response:
        """Answer which associations there are: the busiest ones, and how many in all."""
        await self._look(SHARED)
        present = {"present": self._snapshot["associations"], "busiest": self._snapshot["busiest"]}
        return JSONResponse(present)

    async def _look(self, shared: float) -> None:
        """Take a snapshot, unless there is one that is not so many seconds old."""
        await self._monitor.refresh()
        now = time.monotonic()
        if now - self._taken_at >= shared:
            self._snapshot = self._monitor.snapshot() | {"lacking": self._monitor.lacking}
            self._taken_at = now
            self._bodies = {}
            self._metrics = {}


def _body(snapshot: Mapping[str, Any], seconds: int) -> bytes:
    """Return what the page is told: what it does not show is left out."""
    rates, totals = snapshot["rates"], snapshot["totals"]
    settled = {**totals["settled"], "bounds": BOUNDS["settled"]}
    shown = {
        **snapshot,
        "rates": {k: v[-seconds:] if isinstance(v, list) else v for k, v in rates.items()},
        "totals": {k: v for k, v in totals.items() if not isinstance(v, dict)}
        | {"settled": settled},
    }
    return json.dumps(shown, separators=(",", ":")).encode()
