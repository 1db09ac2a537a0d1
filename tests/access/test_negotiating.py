"""Who may associate, and at what cost: negotiation, the authorize hook, limits, settings."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any

import pytest

import aiodicom
from aiodicom import AssociationInfo, AssociationRejected, Status
from aiodicom.ae_titles import check_ae_title
from aiodicom.wire.items import (
    ApplicationContext,
    AsynchronousOperationsWindow,
    Item,
    MaximumLength,
    UserIdentity,
)
from aiodicom.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest, encode_pdu
from tests.peer import ECHO_CONTEXT, Peer, association_request, command_pdu, echo_command
from tests.serving import TIMEOUTS, Gate, discard, empty, happens, serving

REQUEST = association_request()


def with_application_context(*names: str) -> AssociateRequest:
    others = [item for item in REQUEST.items if not isinstance(item, ApplicationContext)]
    items: tuple[Item, ...] = (*map(ApplicationContext, names), *others)
    return dataclasses.replace(REQUEST, items=items)


class Hook:
    """An authorize hook that waits to be let through, and then does what it was told."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.asked: list[AssociationInfo] = []
        self.entered, self.opened = asyncio.Event(), asyncio.Event()
        self._error = error

    async def __call__(self, info: AssociationInfo) -> None:
        self.asked.append(info)
        self.entered.set()
        await self.opened.wait()
        if self._error is not None:
            raise self._error


# Negotiation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [(), ("1.2.3",), ("",)])
async def test_an_application_context_that_is_not_dicom_s(names: tuple[str, ...]) -> None:
    async with serving() as server, Peer(server.port) as peer:
        assert await peer.rejected(with_application_context(*names)) == (1, 1, 2)


@pytest.mark.parametrize("version", [0, 2, 0x8000])
async def test_a_protocol_version_that_is_not_ours(version: int) -> None:
    async with serving() as server, Peer(server.port) as peer:
        request = dataclasses.replace(REQUEST, protocol_version=version)
        async with asyncio.timeout(1):  # and not only when the association's deadline passes
            assert await peer.rejected(request) == (1, 2, 2)
            await peer.half_close()
            assert await peer.closed()


async def test_a_protocol_version_that_is_ours_among_others() -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate(dataclasses.replace(REQUEST, protocol_version=0xFFFF))


async def test_titles_and_reserved_bytes_are_echoed_byte_for_byte() -> None:
    request = dataclasses.replace(
        REQUEST,
        called_ae_title_field=b"  anything \xe9\0\0\0\0",
        calling_ae_title_field=b"\x00" * 16,
        reserved=bytes(range(32)),
    )
    async with serving() as server, Peer(server.port) as peer:
        answer = await peer.associate(request)
    assert answer.called_ae_title_field == request.called_ae_title_field
    assert answer.calling_ae_title_field == request.calling_ae_title_field
    assert answer.reserved == request.reserved


@pytest.mark.parametrize(("asked", "answered"), [((0, 0), (1, 1)), ((5, 3), (1, 1))])
async def test_a_window_is_answered_where_it_was_asked_for(
    asked: tuple[int, int], answered: tuple[int, int]
) -> None:
    async with serving() as server, Peer(server.port) as peer:
        window = AsynchronousOperationsWindow(*asked)
        answer = await peer.associate(association_request(more=[window]))
    item = answer.user_item(AsynchronousOperationsWindow)
    assert item is not None
    assert (item.invoked, item.performed) == answered


async def test_a_window_that_nobody_asked_for_is_not_answered() -> None:
    async with serving() as server, Peer(server.port) as peer:
        answer = await peer.associate()
    assert answer.user_item(AsynchronousOperationsWindow) is None


@pytest.mark.parametrize("length", [0, 1024, 0xFFFFFFFF])
async def test_the_maximum_length_is_the_server_s_own(length: int) -> None:
    async with serving(maximum_length=length) as server, Peer(server.port) as peer:
        answer = await peer.associate()
    assert answer.user_item(MaximumLength) == MaximumLength(length)


# The authorize hook --------------------------------------------------------------------------


async def test_the_hook_knows_who_asks_and_lets_in() -> None:
    hook = Hook()
    async with serving(authorize=hook) as server, Peer(server.port) as peer:
        identity = UserIdentity(2, True, b"user", b"passcode")
        await peer.send(association_request(calling="CT1", called="HERE", more=[identity]))
        await happens(hook.entered)
        assert await peer.hears_nothing()
        hook.opened.set()
        await peer.receive()
        assert await peer.echo() == Status.SUCCESS
    info = hook.asked[0]
    assert (info.calling_ae_title, info.called_ae_title) == ("CT1", "HERE")
    assert (info.address, info.user_identity) == ("127.0.0.1", identity)


async def test_no_deadline_runs_while_the_hook_does() -> None:
    hook, timeouts = Hook(), aiodicom.Timeouts(association=0.1, network=0.1)
    async with serving(authorize=hook, timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.send(REQUEST)
        await happens(hook.entered)
        assert await peer.hears_nothing(0.3)
        hook.opened.set()
        assert isinstance(await peer.receive(), AssociateAccept)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (AssociationRejected("unknown", 1, 1, 7), (1, 1, 7)),
        (AssociationRejected(), (1, 1, 1)),
        (ValueError("a bug"), (2, 1, 1)),
        (TimeoutError(), (2, 1, 1)),
        (asyncio.CancelledError(), (2, 1, 1)),
    ],
    ids=repr,
)
async def test_a_hook_that_raises_rejects(
    error: BaseException, answer: tuple[int, int, int], caplog: pytest.LogCaptureFixture
) -> None:
    hook = Hook(error)
    hook.opened.set()
    async with serving(authorize=hook) as server, Peer(server.port) as peer:
        assert await peer.rejected() == answer
    failures = [text for text in caplog.messages if "The authorize hook failed" in text]
    assert len(failures) == (not isinstance(error, AssociationRejected))


@pytest.mark.parametrize("error", [None, AssociationRejected()])
@pytest.mark.parametrize("leave", ["abort", "close", "violate"])
async def test_the_peer_leaves_while_the_hook_runs(leave: str, error: Exception | None) -> None:
    hook = Hook(error)
    async with serving(authorize=hook) as server, Peer(server.port) as peer:
        await peer.send(REQUEST)
        await happens(hook.entered)
        if leave == "abort":
            await peer.abort()
        elif leave == "close":
            await peer.half_close()
        else:  # PS3.8 table 9-10: no data before the association is accepted
            await peer.send(command_pdu(echo_command(), ECHO_CONTEXT))
            await peer.aborted()
            await peer.half_close()
        assert await peer.closed()
        hook.opened.set()
        await empty(server)


async def test_a_rejection_is_impossible_with_numbers_that_are_none() -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        AssociationRejected("too much", 1, 1, 256)


# Limits --------------------------------------------------------------------------------------


async def test_one_association_too_many_is_rejected_until_there_is_room_again() -> None:
    limits = aiodicom.Limits(associations=1)
    async with (
        serving(limits=limits) as server,
        Peer(server.port) as first,
        Peer(server.port) as second,
        Peer(server.port) as third,
    ):
        await first.associate()
        assert await second.rejected() == (2, 3, 2)
        await first.release()
        await third.associate()  # though the other two have not closed yet
        assert await third.echo() == Status.SUCCESS


async def test_an_association_whose_handler_still_runs_takes_its_room() -> None:
    gate, limits = Gate(), aiodicom.Limits(associations=1)
    async with serving(store=gate, limits=limits) as server:
        async with Peer(server.port) as first:
            await first.associate()
            await first.begin_store("1.2.3", b"a part")
            await happens(gate.entered)
            await first.abort()
            assert await first.closed()
        async with Peer(server.port) as second:
            assert await second.rejected() == (2, 3, 2)
        gate.opened.set()
        await gate.outcome()
        async with Peer(server.port) as third:
            await third.associate()


async def test_one_connection_too_many_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        serving(limits=aiodicom.Limits(connections=2)) as server,
        Peer(server.port) as silent,
        Peer(server.port) as busy,
    ):
        await busy.associate()
        async with Peer(server.port) as third:
            assert await third.closed()
        assert await busy.echo() == Status.SUCCESS
        await silent.half_close()
        assert await silent.closed()
        async with Peer(server.port) as fourth:
            await fourth.associate()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["Too many connections: one is closed"]


# Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        {"associations": 0},
        {"connections": 0},
        {"connections": -1},
        {"buffered_bytes": (2 << 20) - 1},
        {"association_bytes": 0},
    ],
    ids=str,
)
def test_a_limit_that_admits_nobody(setting: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        aiodicom.Limits(**setting)


@pytest.mark.parametrize("name", ["association", "dimse", "network", "closing"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_that_has_passed_before_it_starts(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=name):
        aiodicom.Timeouts(**{name: seconds})


def test_the_peer_is_never_waited_for_without_end_when_all_is_over() -> None:
    with pytest.raises(ValueError, match="closing"):
        aiodicom.Timeouts(closing=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dimse", "network", "message"), [(None, None, None), (1, None, 1), (None, 2, 2), (1, 2, 1)]
)
def test_within_a_message_the_shorter_timeout_holds(
    dimse: float | None, network: float | None, message: float | None
) -> None:
    assert aiodicom.Timeouts(dimse=dimse, network=network).message == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"port": -1}, "port"),
        ({"port": 65536}, "port"),
        ({"maximum_length": -1}, "maximum length"),
        ({"maximum_length": 1}, "maximum length"),
        ({"maximum_length": 1 << 32}, "maximum length"),
        ({"ae_title": ""}, "AE title"),
        ({"ae_title": "SEVENTEEN LETTERS"}, "AE title"),
        ({"grace": -1}, "grace"),
    ],
    ids=str,
)
def test_serve_says_at_once_what_is_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aiodicom.serve(**settings)


@pytest.mark.parametrize("title", ["A", "  AIODICOM ", "a b_c-1", "SIXTEEN LETTERS!"])
def test_titles_are_trimmed(title: str) -> None:
    assert check_ae_title(title) == title.strip()


@pytest.mark.parametrize("title", ["", "   ", "A\\B", "A\nB", "A\x7f", "\u00c4", "A" * 17])
def test_what_is_no_title(title: str) -> None:
    with pytest.raises(ValueError, match="AE title"):
        check_ae_title(title)


def test_an_endless_association_deadline_is_possible() -> None:
    timeouts = dataclasses.replace(TIMEOUTS, association=None, network=None)
    assert timeouts.message is None


async def test_a_rejection_is_one_pdu_and_then_the_end() -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.send(with_application_context("1.2.3"))
        await peer.half_close()
        assert await peer.reader.read() == encode_pdu(AssociateReject(1, 1, 2))


async def test_stores_are_not_negotiated_without_a_store_handler() -> None:
    async with serving() as server, Peer(server.port) as peer:
        answer = await peer.associate()
        assert [context.result for context in answer.presentation_contexts] == [0, 3, 3]
    async with serving(store=discard) as server, Peer(server.port) as peer:
        answer = await peer.associate()
        assert [context.result for context in answer.presentation_contexts] == [0, 0, 0]
