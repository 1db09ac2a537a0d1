"""Files that are read again while a server serves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

import aiodicom
from aiodicom.errors import DicomError
from tests.peer import Peer
from tests.serving import discard, serving


class Rules:
    """A store handler that has a file of its own."""

    def __init__(self, read: Callable[[], str] = lambda: "rules: 3") -> None:
        self.times = self.at_once = self.most_at_once = 0
        self._read = read

    async def __call__(self, request: aiodicom.StoreRequest) -> int:
        return await discard(request)

    async def reload(self) -> str:
        self.times += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self._read()


def failing(error: Exception) -> Callable[[], str]:
    def read() -> str:
        raise error

    return read


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    caplog.set_level(logging.INFO, "aiodicom.server")

    def lines() -> list[tuple[str, str]]:
        found = [(record.levelname, record.getMessage()) for record in caplog.records]
        return [line for line in found if "eload" in line[1]]

    return lines


async def test_what_can_be_read_again_is_and_associations_go_on(
    said: Callable[[], list[tuple[str, str]]],
) -> None:
    rules = Rules()
    async with serving(store=rules, echo=lambda _: None) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await server.reload()
        assert await peer.store("1.2.3") == aiodicom.Status.SUCCESS
        await peer.release()
    assert rules.times == 1
    assert said() == [("INFO", "Reloaded: rules: 3")]


async def test_one_handler_with_two_parts_is_read_once() -> None:
    rules = Rules()
    async with serving(store=rules, echo=rules) as server:
        await server.reload()
    assert rules.times == 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DicomError("rules.toml, line 3: no such key"), "rules.toml, line 3: no such key; what"),
        (OSError("rules.toml: it is gone"), "rules.toml: it is gone; what was read before stays"),
        (ValueError("a bug"), "of Rules stays: ValueError (reloading.py:"),
    ],
    ids=repr,
)
async def test_what_cannot_be_read_is_said_and_the_rest_is_read(
    error: Exception, text: str, said: Callable[[], list[tuple[str, str]]]
) -> None:
    other = Rules()
    async with serving(store=Rules(failing(error)), echo=other) as server:
        assert not await server.reload()
    assert other.times == 1
    (level, line), read = said()
    assert (level, read) == ("ERROR", ("INFO", "Reloaded: rules: 3"))
    assert line.startswith("Not reloaded: ")
    assert text in line
    assert "a bug" not in line


async def test_reloads_do_not_overlap() -> None:
    rules = Rules()
    async with serving(store=rules) as server:
        await asyncio.gather(*(server.reload() for _ in range(3)))
    assert (rules.times, rules.most_at_once) == (3, 1)


async def test_nothing_to_read_is_said(said: Callable[[], list[tuple[str, str]]]) -> None:
    async with serving(store=discard) as server:
        assert await server.reload()
    assert said() == [("INFO", "Reloading: there is nothing to be read again")]
