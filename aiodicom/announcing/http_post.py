"""A sink that sends each announcement to a URL, as a CloudEvent."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from aiodicom.announcing.announcements import Announcement
from aiodicom.announcing.cloud_events import CONTENT_TYPE, encode
from aiodicom.announcing.retries import TryAgain, Undeliverable
from aiodicom.describe import escape
from aiodicom.wire.identity import __version__

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpPost", "check_url"]

MOST_READ = 1 << 16
"""Bytes of an answer that are read, so that its connection can be used again."""

LAST_BYTES = 1.0
"""Seconds within which they come."""

AGAIN = frozenset({408, 425, 429})
"""Statuses below 500 after which it is tried again."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


def check_url(url: str) -> SplitResult:
    """Return a URL in its parts; what is wrong is said without quoting it, for it may be secret.

    Raises
    ------
    ValueError
        Where nothing can be sent there.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise ValueError(f"it is no URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("it is no URL that begins with http:// or https://")
    if not host or port == 0:
        raise ValueError("it is no URL that names a host: http://host:port/path")
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("a URL has no spaces, and nothing but ASCII: write them as %20")
    return parts


class HttpPost:
    """Sends each announcement with POST, as ``application/cloudevents+json``.

    An answer of 2xx means that it was taken. After 408, 425, 429 and 5xx, where there is no
    connection, and where no answer comes, it is sent again, not before ``Retry-After``. Any other
    answer means that it never will be; redirections are not followed. Proxies that the
    environment names are not used.

    Parameters
    ----------
    url : str
        Where to. User name and password in it are sent as basic authentication. Nothing but
        scheme, host and port is ever logged.
    headers : mapping of str to str, optional
        What is sent besides; never logged.
    timeout : float
        Seconds within which the answer comes.
    ssl : ssl.SSLContext, optional
        For https; by default the server's certificate is verified as httpx does.
    paths : bool
        Whether the event says where the files are: a folder may be called by a patient's name.

    Raises
    ------
    ValueError
        Where URL, headers or timeout cannot be used.
    ImportError
        Where httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10,
        ssl: ssl.SSLContext | None = None,
        paths: bool = False,
    ) -> None:
        parts = check_url(url)
        if not timeout > 0:
            raise ValueError(f"{timeout} s are no timeout: more than 0")
        for name, value in (headers or {}).items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"{escape(name)!r} and its value are no header of HTTP")
        try:
            import httpx
        except ImportError:
            raise ImportError("HttpPost needs httpx: pip install 'aiodicom[http]'") from None
        self._httpx = httpx
        host = parts.netloc.rpartition("@")[2]
        self.name = f"{parts.scheme}://{host}"
        self._url = urlunsplit(parts._replace(netloc=host, fragment=""))
        self._headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": f"aiodicom/{__version__}",
            **_authorization(parts),
            **(headers or {}),
        }
        self._timeout = timeout
        self._ssl = ssl
        self._paths = paths
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def __aenter__(self) -> Self:
        """Make the connections' pool: in a thread, for it reads certificates."""
        # Not a client: that would log each URL.
        make = self._httpx.AsyncHTTPTransport
        is_verified = self._url.startswith("https:")  # http has no use for certificates
        self._transport = await asyncio.to_thread(make, verify=self._ssl or is_verified)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()

    async def __call__(self, announcement: Announcement) -> None:
        """Send it.

        Raises
        ------
        TryAgain
            Where it may be taken later.
        Undeliverable
            Where it will not be.
        """
        if self._transport is None:
            raise RuntimeError("HttpPost is not running: give it to an Announcer")
        httpx = self._httpx
        request = httpx.Request(
            "POST",
            self._url,
            headers=self._headers,
            content=encode(announcement, paths=self._paths),
            extensions={"timeout": httpx.Timeout(self._timeout).as_dict()},
        )
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._transport.handle_async_request(request)
        except (TimeoutError, httpx.TimeoutException):
            raise TryAgain(f"no answer within {self._timeout:g} s") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            raise Undeliverable(type(error).__name__) from None
        except httpx.ConnectError as error:
            raise TryAgain(f"cannot connect: {escape(str(error))}") from None
        except httpx.TransportError as error:
            raise TryAgain(f"no answer: {type(error).__name__}") from None
        await self._finish(response)
        _judge(response)

    async def _finish(self, response: httpx.Response) -> None:
        """Read the rest of a short answer; of a long one the connection is closed."""
        assert isinstance(response.stream, self._httpx.AsyncByteStream)
        try:
            with contextlib.suppress(TimeoutError, self._httpx.TransportError):
                async with asyncio.timeout(LAST_BYTES):
                    size = 0
                    async for part in response.stream:
                        size += len(part)
                        if size > MOST_READ:
                            break
        finally:
            await response.aclose()


def _judge(response: httpx.Response) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    if status in AGAIN or status >= 500:
        raise TryAgain(f"answered {status}", _retry_after(response.headers.get("Retry-After", "")))
    if 300 <= status < 400:
        raise Undeliverable(f"answered {status}: give the URL that it redirects to")
    raise Undeliverable(f"answered {status}")


def _retry_after(value: str) -> float:
    """Return the seconds of a Retry-After, which may be a date (RFC 9110, 10.2.3); 0 for none."""
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
