"""What handlers that are made of others pass on to these: start, stop, reload, admit."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import pytest

import aiodicom
from aiodicom import (
    AssociationInfo,
    AssociationRejected,
    FileStorage,
    Status,
    StoreRequest,
    at_most,
    tee,
    when,
)
from aiodicom.errors import DicomError
from tests.peer import CT, Peer
from tests.serving import discard, serving


class Part:
    """A handler that says what happens to it."""

    def __init__(self, name: str, said: list[str], fails: str = "") -> None:
        self.name, self._said, self._fails = name, said, fails

    def say(self, what: str) -> str:
        self._said.append(f"{self.name} {what}")
        if self._fails == what:
            raise OSError(f"{self.name}: no {what}")
        return f"{self.name}: read"

    async def __call__(self, request: StoreRequest) -> int:
        return await discard(request)

    async def __aenter__(self) -> Self:
        self.say("enters")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.say("leaves")

    async def reload(self) -> str:
        return self.say("reloads")

    def admit(self, info: AssociationInfo) -> None:
        self.say("admits")


async def test_parts_are_entered_once_each_and_left_in_the_opposite_order() -> None:
    said: list[str] = []
    one, two = Part("one", said), Part("two", said)
    store = tee(at_most(3, one), when(two, sop_class=CT, otherwise=one), discard)
    async with serving(store=store) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
    entered = [line for line in said if "admits" not in line]
    assert entered == ["one enters", "two enters", "two leaves", "one leaves"]


async def test_a_part_that_cannot_start_leaves_none_started() -> None:
    said: list[str] = []
    store = tee(Part("one", said), Part("two", said, "enters"))
    with pytest.raises(OSError, match="two: no enters"):
        async with aiodicom.serve(store=store, host="127.0.0.1", port=0):
            raise AssertionError("it must not start")
    assert said == ["one enters", "two enters", "one leaves"]


async def test_two_servers_may_have_the_same_handler(tmp_path: Path) -> None:
    store = tee(FileStorage(tmp_path, durability="none"), discard)
    async with serving(store=store) as first:
        async with serving(store=store):
            pass
        async with Peer(first.port) as peer:
            await peer.associate()
            assert await peer.store("1.2.3") == Status.SUCCESS


async def test_a_reload_reaches_all_parts() -> None:
    said: list[str] = []
    store = tee(Part("one", said), at_most(1, Part("two", said)), discard)
    assert await store.reload() == "one: read; two: read"


async def test_where_nothing_is_read_again_a_reload_says_so() -> None:
    assert "nothing" in await tee(discard).reload()


async def test_a_reload_that_fails_is_told_and_keeps_no_other_from_it() -> None:
    said: list[str] = []
    store = tee(Part("one", said, "reloads"), Part("two", said))
    with pytest.raises(DicomError, match="one: no reloads; but reloaded: two: read"):
        await store.reload()


async def test_all_parts_are_asked_before_an_association_is_accepted() -> None:
    class Full(Part):
        def admit(self, info: AssociationInfo) -> None:
            raise AssociationRejected("full", 2, 3, 1)

    said: list[str] = []
    store = at_most(3, tee(Part("one", said), discard, Full("two", said)))
    async with serving(store=store) as server, Peer(server.port) as peer:
        assert await peer.rejected() == (2, 3, 1)
    assert "one admits" in said
