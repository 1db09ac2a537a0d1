"""Pages: what is answered over HTTP, to whom, and until when."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from aiodicom.events import ServerListening
from aiodicom.http import Pages, application, pace, protocol
from aiodicom.monitor import Monitor
from aiodicom.storage.free_space import Room
from tests.monitor.happening import Happening, who
from tests.peer import Peer
from tests.serving import Keeper, serving, until

SHORT = Room(1, 100, 5, 10, lacking="1 bytes are free, 1000 are to stay so")


@asynccontextmanager
async def served() -> AsyncIterator[httpx.AsyncClient]:
    """A server with pages, and somebody who asks them."""
    monitor = Monitor()
    pages = Pages(monitor, port=0)
    async with serving(store=Keeper(), watchers=[monitor, pages]) as server:
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{pages.port}")
        client.headers["x-dicom-port"] = str(server.port)
        async with client:
            yield client


def port_of(client: httpx.AsyncClient) -> int:
    return int(client.headers["x-dicom-port"])


def ours(answer: httpx.Response) -> object:
    """Our end of the connection that an answer came on."""
    return answer.extensions["network_stream"].get_extra_info("client_addr")


def mounted(monitor: Monitor, **settings: Any) -> httpx.AsyncClient:
    """Somebody who asks an application that no server serves."""
    transport = httpx.ASGITransport(application(monitor, **settings))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080")


async def test_it_lives_and_is_ready_while_it_listens(anyio_backend: object) -> None:
    async with served() as client:
        assert (await client.get("/healthz")).text == "ok\n"
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})


async def test_it_is_not_ready_before_it_listens_nor_without_room(anyio_backend: object) -> None:
    monitor = Monitor(lambda: SHORT)
    async with mounted(monitor) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["no connections are accepted", SHORT.lacking]
        monitor(ServerListening("TITLE", ()))
        assert (await client.get("/readyz")).json()["reasons"] == [SHORT.lacking]


async def test_what_happens_is_told(anyio_backend: object) -> None:
    async with served() as client, Peer(port_of(client)) as peer:
        await peer.associate()
        await peer.store("2.25.1")
        told = (await client.get("/associations")).json()
        assert told["present"] == 1
        assert told["busiest"][0]["calling_ae_title"] == "PEER"
        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert "aiodicom_objects_stored_total 1.0" in metrics.text
        await peer.release()


async def test_only_recent_seconds_are_told_to_who_knows_the_others(anyio_backend: object) -> None:
    async with mounted(Monitor()) as client:
        first = (await client.get("/live")).json()["rates"]
        assert len(first["objects"]) == 300
        last = first["second"]
        for after, count in ((last - 3, 8), (last + 99, 8), (last - 20, 300), ("-1x", 300)):
            rates = (await client.get(f"/live?after={after}")).json()["rates"]
            assert len(rates["bytes"]) == count


async def test_the_page_is_told_what_its_histogram_reaches_up_to(anyio_backend: object) -> None:
    """The metrics have the same bounds, and one bucket more for what is above them."""
    async with mounted(Monitor()) as client:
        settled = (await client.get("/live")).json()["totals"]["settled"]
        metrics = (await client.get("/metrics")).text
    bounds = re.findall(r'aiodicom_store_latency_seconds_bucket{le="([0-9.]+)"}', metrics)
    assert settled["bounds"] == [float(bound) for bound in bounds]
    assert len(settled["counts"]) == len(bounds) + 1


async def test_many_viewers_cost_one_snapshot(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[dict[str, Any]] = []
    snapshot = Monitor.snapshot

    def take(monitor: Monitor) -> dict[str, Any]:
        taken.append(snapshot(monitor))
        return taken[-1]

    monkeypatch.setattr(Monitor, "snapshot", take)
    async with mounted(Monitor()) as client:
        for _ in range(10):
            await client.get("/live?after=5")
    assert len(taken) <= 2


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/icon.svg"])
async def test_the_page_needs_nothing_from_elsewhere(path: str, anyio_backend: object) -> None:
    async with mounted(Monitor()) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in answer.headers
    text = answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text.replace("https://", "http")
    assert not any(word in text for word in ("innerHTML", "outerHTML", "style=", "eval("))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_nothing_but_to_read_is_allowed(method: str, anyio_backend: object) -> None:
    async with mounted(Monitor()) as client:
        for path in ("/", "/metrics", "/live"):
            assert (await client.request(method, path)).status_code == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("127.8.8.8:80", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:8080", 421),
        ("10.0.0.1", 421),
        ("", 421),
    ],
)
async def test_on_the_loopback_only_its_names_are_answered_to(
    host: str, status: int, anyio_backend: object
) -> None:
    async with mounted(Monitor(), loopback_only=True) as client:
        assert (await client.get("/live", headers={"host": host})).status_code == status


async def test_it_is_the_loopback_s_names_that_a_server_answers_to(anyio_backend: object) -> None:
    async with served() as client:
        assert (await client.get("/", headers={"host": "evil.example"})).status_code == 421


async def test_it_can_be_mounted_in_another_application(anyio_backend: object) -> None:
    app = FastAPI()
    app.mount("/dicom", application(Monitor()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://example.org") as client:
        assert (await client.get("/dicom")).headers["location"].endswith("/dicom/")
        page = await client.get("/dicom/")
        assert 'src="page.js"' in page.text
        assert (await client.get("/dicom/live")).status_code == 200


async def test_who_holds_a_connection_open_does_not_delay_the_end(anyio_backend: object) -> None:
    async with served() as client:
        await client.get("/healthz")
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as silent:
            silent.sendall(b"GET / HTTP/1.1\r\nHo")
            assert (await client.get("/healthz")).status_code == 200
            await client.aclose()


async def test_of_too_many_connections_the_one_that_asks_least_goes(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 3)
    async with served() as client:
        url = client.base_url
        silent = [await asyncio.open_connection(url.host, url.port) for _ in range(2)]
        mine = ours(await client.get("/healthz"))
        more = [await asyncio.open_connection(url.host, url.port) for _ in range(2)]
        for reader, _ in silent:
            assert await reader.read() == b""
        assert ours(await client.get("/healthz")) == mine
        for _, writer in (*silent, *more):
            writer.close()


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 9\r\n\r\n"],
)
async def test_who_asks_for_nothing_to_its_end_is_let_go_of(
    begun: bytes, anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PATIENCE", 0.1)
    pages = Pages(Monitor(), port=0)
    async with serving(watchers=[pages]), asyncio.timeout(4):
        _, writer = await asyncio.open_connection("127.0.0.1", pages.port)
        writer.write(begun)
        await until(lambda: pages._state.total_requests == begun.endswith(b"\r\n\r\n"))
        await until(lambda: not pages._state.connections)
        writer.close()


async def test_who_reads_nothing_is_let_go_of(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PATIENCE", 0.3)
    pages = Pages(Monitor(), port=0)
    async with serving(watchers=[pages]), asyncio.timeout(10):
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", pages.port))
            deaf.sendall(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
            await until(lambda: pages._state.total_requests > 0)
            await until(lambda: not pages._state.connections)
            assert pages._state.total_requests < 1000


async def test_who_asks_without_end_gets_no_more_than_a_share(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "RATE", 10.0)
    monkeypatch.setattr(pace, "BURST", 2)
    async with served() as client, asyncio.timeout(10):
        begun = time.monotonic()
        answers = await asyncio.gather(*(client.get("/healthz") for _ in range(20)))
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(200) >= 7
        assert statuses.count(200) <= 3 + 10 * (time.monotonic() - begun)
        assert set(statuses) == {200, 503}
        while (await client.get("/healthz")).status_code != 200:  # soon it is again
            pass


async def test_what_is_no_http_is_logged_once(
    anyio_backend: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as client:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            writer.write(b"\x01\0\0\0\0\x80\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
            writer.close()
    assert caplog.text.count("Invalid HTTP request received.") == 1


async def test_a_port_that_is_taken_is_said_before_anything_begins(anyio_backend: object) -> None:
    keeper = Keeper()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        pages = Pages(Monitor(), port=taken.getsockname()[1])
        with pytest.raises(OSError, match=r"HTTP: cannot listen on port \d+ of 127.0.0.1: Address"):
            async with serving(store=keeper, watchers=[pages]):
                pass


async def test_what_fails_is_answered_and_logged_without_what_it_says(
    anyio_backend: object, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ValueError("Doe^John")

    monitor = Monitor()
    monkeypatch.setattr(monitor, "snapshot", fail)
    async with mounted(monitor) as client:
        answer = await client.get("/live")
    assert (answer.status_code, "Doe" in answer.text) == (500, False)
    assert "A page failed: ValueError" in caplog.text
    assert "Doe" not in caplog.text


async def test_names_of_peers_are_data_and_nothing_else(anyio_backend: object) -> None:
    monitor = Monitor()
    Happening(monitor, who("</script><b>")).store()
    async with mounted(monitor) as client:
        answer = await client.get("/live")
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.text)["busiest"][0]["calling_ae_title"] == "</script><b>"
