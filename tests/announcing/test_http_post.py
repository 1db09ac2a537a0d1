"""HttpPost against a server on the loopback: what it sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx  # noqa: F401  where it is imported first, in HttpPost, the loop would wait
import pytest
import trustme

from aiodicom.announcing import Announcer, HttpPost, Retries, TryAgain, Undeliverable, http_post
from aiodicom.announcing.cloud_events import cloud_event
from tests.announcing.endpoint import CLOSES, HANGS, Endpoint, answering
from tests.announcing.values import announced, quiet, stored
from tests.peer import PATIENCE
from tests.processes import free_port
from tests.serving import until

SOON = Retries(first=0.001, most=0.001)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: "


async def post(endpoint: Endpoint, **settings: object) -> None:
    async with HttpPost(endpoint.url, **settings) as sink:  # type: ignore[arg-type]
        await sink(announced())


# What is sent -------------------------------------------------------------------------------------


async def test_event_is_posted_as_structured_json() -> None:
    async with answering() as endpoint, HttpPost(endpoint.url) as sink:
        await sink(announced())
        await sink(quiet())
    first, second = endpoint.posted
    assert first.line == "POST /events HTTP/1.1"
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.headers["host"] == f"127.0.0.1:{endpoint.port}"
    assert first.event == cloud_event(announced())
    assert second.event == cloud_event(quiet())
    assert endpoint.connections == 1


async def test_own_headers_and_paths_are_sent() -> None:
    async with answering() as endpoint:
        await post(endpoint, headers={"Authorization": "Bearer x", "X-Y": "z"}, paths=True)
    (posted,) = endpoint.posted
    assert (posted.headers["authorization"], posted.headers["x-y"]) == ("Bearer x", "z")
    assert posted.event["data"]["path"] == announced().stored.path


async def test_user_and_password_of_the_url_are_basic_authentication() -> None:
    async with answering() as endpoint:
        url = f"http://user:p%40ss@127.0.0.1:{endpoint.port}/hook?key=1#here"
        async with HttpPost(url) as sink:
            await sink(announced())
    (posted,) = endpoint.posted
    assert posted.line == "POST /hook?key=1 HTTP/1.1"
    assert posted.headers["authorization"] == "Basic dXNlcjpwQHNz"
    assert "user" not in posted.headers["host"]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    async with answering() as endpoint:
        await post(endpoint)
    assert len(endpoint.posted) == 1


async def test_certificate_is_verified() -> None:
    authority = trustme.CA()
    serving, trusting = (
        ssl.SSLContext(p) for p in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
    )
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    endpoint = Endpoint()
    # The server's side has its own say about a handshake that fails.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    server = await asyncio.start_server(endpoint.connected, "127.0.0.1", 0, ssl=serving)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        async with HttpPost(url, ssl=trusting) as sink:
            await sink(announced())
        async with HttpPost(url) as sink:
            with pytest.raises(TryAgain, match="certificate"):
                await sink(announced())
        await endpoint.close()
    assert len(endpoint.posted) == 1


# Answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 299])
async def test_any_success_is_one(status: int) -> None:
    async with answering(status) as endpoint:
        await post(endpoint)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
async def test_trouble_of_the_server_is_tried_again(status: int) -> None:
    async with answering(status) as endpoint:
        with pytest.raises(TryAgain, match=f"answered {status}"):
            await post(endpoint)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
async def test_what_is_refused_is_not_tried_again(status: int) -> None:
    async with answering(status) as endpoint:
        with pytest.raises(Undeliverable, match=f"answered {status}"):
            await post(endpoint)


@pytest.mark.parametrize("status", [301, 304, 308])
async def test_redirection_is_not_followed(status: int) -> None:
    async with (
        answering() as other,
        answering((status, f"Location: {other.url}\r\n")) as endpoint,
    ):
        with pytest.raises(Undeliverable, match="redirects"):
            await post(endpoint)
    assert other.posted == []


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("120", 120, 120),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0),
        ("999999999999999999", 3600, 3600),
        ("-5", 0, 0),
        ("soon", 0, 0),
        ("Fri, 99 Foo 1999", 0, 0),
    ],
)
async def test_retry_after_is_heeded(value: str, least: float, most: float) -> None:
    async with answering((503, f"Retry-After: {value}\r\n")) as endpoint:
        with pytest.raises(TryAgain) as raised:
            await post(endpoint)
    assert least <= raised.value.after <= most


async def test_retry_after_may_be_a_time() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1000)
    value = format_datetime(soon, usegmt=True)
    async with answering((503, f"Retry-After: {value}\r\n")) as endpoint:
        with pytest.raises(TryAgain) as raised:
            await post(endpoint)
    assert 900 <= raised.value.after <= 1000


@pytest.mark.parametrize("answer", [CLOSES, b"SSH-2.0-x\r\n", b"HTTP/1.1 2", b"\0" * 100])
async def test_no_answer_is_tried_again(answer: str | bytes) -> None:
    async with answering(answer) as endpoint:
        with pytest.raises(TryAgain):
            await post(endpoint, timeout=0.1)


async def test_answer_that_does_not_come_is_waited_for_so_long() -> None:
    async with answering(HANGS) as endpoint:
        with pytest.raises(TryAgain, match=r"no answer within 0\.05 s"):
            await post(endpoint, timeout=0.05)


async def test_head_that_comes_byte_by_byte_has_no_more_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not reader.at_eof():
                writer.write(b"HTTP/1.1 200 OK\r\n" if not endless else b"X: y\r\n")
                endless.append(1)
                await asyncio.sleep(0.005)
        finally:
            writer.close()

    endless: list[int] = []
    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with HttpPost(url, timeout=0.1) as sink:
            with pytest.raises(TryAgain, match="no answer within"):
                await sink(announced())
        await until(lambda: len(endless) > 0)


async def test_nobody_there_is_tried_again() -> None:
    async with HttpPost(f"http://127.0.0.1:{free_port()}/") as sink:
        with pytest.raises(TryAgain, match="cannot connect"):
            await sink(announced())


@pytest.mark.parametrize(
    ("answer", "last_bytes"),
    [
        (ANSWER + b"1000000000\r\n\r\n" + bytes(200_000), 3600),
        (ANSWER + b"9\r\n\r\nhang", 0.05),
    ],
    ids=["long", "hanging"],
)
async def test_body_of_a_success_is_of_no_interest(
    answer: bytes, last_bytes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not read to its end, and the next announcement comes over another connection."""
    monkeypatch.setattr(http_post, "LAST_BYTES", last_bytes)
    async with answering(answer) as endpoint, HttpPost(endpoint.url) as sink:
        async with asyncio.timeout(PATIENCE):
            await sink(announced())
        await sink(announced("1.2.4"))
    assert endpoint.uids == ["1.2.3", "1.2.4"]
    assert endpoint.connections == 2


async def test_event_arrives_once_the_server_is_well_again() -> None:
    async with (
        answering(500, CLOSES, 429) as endpoint,
        Announcer(HttpPost(endpoint.url), retries=SOON) as announcing,
    ):
        for uid in ("1", "2"):
            announcing.stored(stored(uid))
        await until(lambda: announcing.counts[0].sent == 2)
        assert announcing.counts[0].retried == 3
    assert endpoint.uids == ["1", "1", "1", "1", "2"]
    assert len({each.event["id"] for each in endpoint.posted}) == 2
    assert len({each.body for each in endpoint.posted}) == 2


# What it is told ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://SECRET/", "//SECRET/x", "http://", "http:///SECRET", "http://h:0/SECRET",
     "http://h:x/", "http://h:99999/SECRET", "http://h/SEC RET", "http://h/\nSECRET",
     "http://h/SECRET\u00e9", "http://[::1/SECRET"],
)  # fmt: skip
def test_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Invalid") as raised:
        HttpPost(url)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "header", [("A B", "x"), ("A", "x\r\nSECRET: y"), ("A", "SECR\u00c9T"), ("", "")]
)
def test_header_that_is_none_is_refused_and_not_repeated(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="no header") as raised:
        HttpPost("http://h/", headers=dict([header]))
    assert "SECR" not in str(raised.value)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_timeout_is_more_than_nothing(timeout: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        HttpPost("http://h/", timeout=timeout)


def test_without_httpx_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ImportError, match=r"aiodicom\[http\]"):
        HttpPost("http://h/")


async def test_secrets_are_not_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with answering(500, 404) as endpoint:
        url = f"http://SECRET:SECRET@127.0.0.1:{endpoint.port}/SECRET?SECRET"
        sinks = (
            HttpPost(url, headers={"X": "SECRET"}),
            HttpPost(url.replace(str(endpoint.port), str(free_port()))),
        )
        async with Announcer(*sinks, retries=SOON, grace=0.5) as announcing:
            announcing.stored(stored("1"))
            await until(lambda: announcing.counts[0].failed == 1)
            names = [each.name for each in announcing.counts]
    assert names[0] == f"http://127.0.0.1:{endpoint.port}"
    assert any("answered 404" in text for text in caplog.messages)
    assert "SECRET" not in caplog.text
