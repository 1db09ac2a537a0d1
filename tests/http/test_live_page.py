"""The live page, in a real browser, of a receiver that is a process of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route

from tests.http.browser import Visit, launched
from tests.http.load import Modality, rejected, sending
from tests.processes import Receiver, free_port, receiving

pytestmark = pytest.mark.chromium

LATE = """
() => {
  const rows = () => document.querySelectorAll("#sending tbody tr").length;
  window.shown = new Promise((resolve) => {
    const look = () => rows() >= 16 && resolve();
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  });
}
"""
"""Has the page itself note that it shows sixteen senders."""


def times_asked_until_shown(visit: Visit) -> int:
    """How often the page asks for news until it shows all sixteen; twice a second it does.

    Not how long that takes: on a busy machine everything is late, and the page asks late as well.
    """
    visit.page.evaluate("() => 0")  # what it asked for meanwhile is known now
    before = len(visit.asked)
    visit.page.evaluate("() => window.shown")
    return len(visit.asked) - before


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, int]]:
    port, folder = free_port(), tmp_path_factory.mktemp("received")
    options = ("--http", str(port), "--max-associations-per-title", "1", "--durability", "none")
    with receiving("storescp", *options, folder=folder) as receiver:
        yield receiver, port


@pytest.fixture
def visit(browser: Browser, server: tuple[Receiver, int]) -> Iterator[Visit]:
    opened = Visit(browser, server[1])
    opened.becomes("#state", "Ready")
    yield opened
    opened.close()
    assert not opened.said
    assert {urlsplit(url).netloc for url in opened.asked} == {f"127.0.0.1:{server[1]}"}


def test_sixteen_senders_are_shown_within_a_second(
    visit: Visit, server: tuple[Receiver, int]
) -> None:
    visit.page.evaluate(LATE)
    with sending(server[0].port):
        assert times_asked_until_shown(visit) <= 2
        visit.becomes("#state", "Receiving")
        rows = visit.page.locator("#sending tbody tr")
        titles = {row.locator("b").inner_text() for row in rows.all()}
        assert titles == {f"SENDER_{number}" for number in range(16)}
        assert visit.text("#associations") == "16"
        assert "kB/s" in rows.first.inner_text() or "MB/s" in rows.first.inner_text()
        visit.becomes("#title", "STORESCP")
    visit.becomes("#nobody", "No association now.")
    visit.becomes("#state", "Ready")
    assert visit.text("#objects") != "0 objects"
    assert visit.page.locator("#bytes-chart .line").get_attribute("d") != "M0 0"


def test_rejections_are_shown_and_names_are_text(
    visit: Visit, server: tuple[Receiver, int]
) -> None:
    title = "<img src=x>"
    with sending(server[0].port, [Modality(title)]):
        visit.becomes("#sending b", title)
        rejected(server[0].port, title)
        rejected(server[0].port, title)
        visit.becomes("#problems", "too many associations of this AE title")
        visit.becomes("#problems", "2 times")
        assert title in visit.text("#problems")
    assert visit.page.locator("main img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_light_or_dark_as_the_viewer_likes(
    scheme: str, browser: Browser, server: tuple[Receiver, int]
) -> None:
    visit = Visit(browser, server[1], color_scheme=scheme)
    background, ink = visit.page.evaluate(
        "() => ['backgroundColor', 'color'].map((n) => getComputedStyle(document.body)[n])"
    )
    visit.close()
    is_bright = [sum(map(int, each[4:-1].split(", "))) > 382 for each in (background, ink)]
    assert is_bright == [scheme == "light", scheme == "dark"]


def test_it_fits_on_a_phone(browser: Browser, server: tuple[Receiver, int]) -> None:
    longest = Modality("W" * 16, "1.2.840.10008.5.1.4.1.1.1.2")
    visit = Visit(browser, server[1], viewport={"width": 360, "height": 640})
    with sending(server[0].port, [longest]):
        visit.becomes("#sending b", "W" * 16)
        visit.becomes("#sending", "Mammography")
        widths = "() => [document.documentElement.scrollWidth, window.innerWidth]"
        needed, there = visit.page.evaluate(widths)
    visit.close()
    assert (needed, there) == (360, 360)


def test_it_says_when_the_server_has_gone_and_comes_back_by_itself(
    browser: Browser, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "received").mkdir()
    options = ("--http", str(port), "--durability", "none")
    with receiving("storescp", *options, folder=tmp_path / "received") as receiver:
        visit = Visit(browser, port)
        visit.becomes("#state", "Ready")
        assert receiver.stop(signal.SIGTERM) == 0
        visit.becomes("#state", "Connection lost")
    with receiving("storescp", *options, "-aet", "AGAIN", folder=tmp_path / "received"):
        visit.becomes("#title", "AGAIN")
        visit.becomes("#state", "Ready")
        visit.close()


def test_all_workers_are_shown(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    options = ("--http", str(port), "--workers", "2", "--durability", "none")
    with receiving("storescp", *options, folder=tmp_path) as receiver:
        visit = Visit(browser, port)
        visit.becomes("#workers", "2")
        visit.page.evaluate(LATE)
        with sending(receiver.port):
            assert times_asked_until_shown(visit) <= 3  # workers report four times a second
            rows = visit.page.locator("#workers tbody tr").all()
            assert len(rows) == 2
            assert visit.text("#associations") == "16"
        visit.becomes("#nobody", "No association now.")
        visit.close()


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("1 bytes are free, 1000 are to stay so", "Not ready: too little room"),
        ("the storage does not answer", "Not ready: the storage does not answer"),
    ],
)
def test_why_it_is_not_ready_is_said(
    lacking: str, said: str, browser: Browser, server: tuple[Receiver, int]
) -> None:
    def answer(route: Route) -> None:
        response = route.fetch()
        told = response.json()
        told["lacking"] = lacking
        if "free" in lacking:
            told["storage"]["lacking"] = lacking
        route.fulfill(response=response, json=told)

    visit = Visit(browser, server[1])
    visit.page.route("**/live*", answer)
    visit.becomes("#state", said)
    visit.becomes("#free-of", said.removeprefix("Not ready: "))
    visit.page.unroute_all(behavior="wait")
    visit.close()


def test_latencies_are_told_by_the_bounds_that_the_server_tells(
    browser: Browser, server: tuple[Receiver, int]
) -> None:
    bounds = [0.25, 7]

    def answer(route: Route) -> None:
        response = route.fetch()
        told = response.json()
        # So many that it does not matter what the page was told before.
        told["totals"]["settled"] = {"counts": [0, 10**9], "sum": 10**9, "bounds": bounds}
        route.fulfill(response=response, json=told)

    visit = Visit(browser, server[1])
    visit.page.route("**/live*", answer)
    visit.becomes("#latency-worst", "99 %: ≤ 7 s")
    bounds.pop()
    visit.becomes("#latency-worst", "99 %: > 250 ms")
    visit.page.unroute_all(behavior="wait")
    visit.close()
