"""What holds for every request: who may ask from where, and what a browser may do with answers."""

from __future__ import annotations

import ipaddress
import logging

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aiodicom.failures import log_failure
from aiodicom.seldom import Seldom

__all__ = ["Guard", "is_loopback"]

logger = logging.getLogger("aiodicom.http")

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """An ASGI application around another one.

    Parameters
    ----------
    application : callable
        The other one.
    loopback_only : bool
        Whether only names of this machine are answered to: else a web page could have its own
        name lead here, and read what it is not to know (DNS rebinding).
    """

    def __init__(self, application: ASGIApp, *, loopback_only: bool) -> None:
        self._application = application
        self._loopback_only = loopback_only
        self._seldom = Seldom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        is_begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            await self._choose(scope)(scope, receive, send_guarded)
        except Exception as error:
            log_failure(logger, "A page failed", error, self._seldom)
            if not is_begun:
                answer = PlainTextResponse("it failed; the log says more\n", 500)
                await answer(scope, receive, send_guarded)

    def _choose(self, scope: Scope) -> ASGIApp:
        if self._loopback_only and not is_loopback(_host(scope)):
            return PlainTextResponse("this is no name of this machine\n", 421)
        return self._application


def is_loopback(host: str) -> bool:
    """Tell whether a name or an address is one of the loopback."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(scope: Scope) -> str:
    """Return the host of a request, without its port and an IPv6 address's brackets."""
    for name, value in scope["headers"]:
        if name == b"host":
            text = value.decode("latin-1")
            if text.startswith("["):
                return str(text[1:].partition("]")[0])
            return str(text.partition(":")[0])
    return ""
