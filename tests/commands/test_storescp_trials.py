"""storescp: the options that senders are tried with."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from aiodicom import storescp
from aiodicom.wire.dimse import Status
from aiodicom.wire.items import (
    ImplementationClassUID,
    MaximumLength,
)
from aiodicom.wire.pdu import Abort, AssociateRequest
from tests.commands.running import (
    connected,
    files,
    running,
    store,
)
from tests.peer import (
    association_request,
    ct_dataset,
)
from tests.processes import dataset_of, visible

UID, NAME = "1.2.3", "CT.1.2.3"


@pytest.mark.parametrize("option", ["-r", "--refuse"])
async def test_refuse(option: str) -> None:
    async with connected(storescp, option, "--ignore") as peer:
        assert await peer.rejected() == (1, 1, 1)


def unnamed() -> AssociateRequest:
    request = association_request()
    *items, user = request.items
    named = [i for i in request.user_items if not isinstance(i, ImplementationClassUID)]
    assert named != list(request.user_items)
    assert any(isinstance(i, MaximumLength) for i in named)
    user = type(user)(tuple(named))  # type: ignore[call-arg]
    return AssociateRequest(
        request.called_ae_title_field, request.calling_ae_title_field, (*items, user)
    )


async def test_reject_is_for_who_has_no_implementation_class_uid() -> None:
    async with connected(storescp, "--reject", "--ignore") as peer:
        assert await peer.rejected(unnamed()) == (1, 1, 1)
    async with connected(storescp, "--reject", "--ignore") as peer:
        await peer.associate()
    async with connected(storescp, "--ignore") as peer:
        await peer.associate(unnamed())


@pytest.mark.parametrize("option", ["-i", "--ignore"])
async def test_ignore_stores_nothing_and_needs_no_directory(tmp_path: Path, option: str) -> None:
    folder = tmp_path / "missing"
    async with running(storescp, option, "-od", str(folder)) as server:
        await store(server.port, UID)
    assert not folder.exists()


@pytest.mark.parametrize("option", ["-s", "--sleep-after"])
async def test_sleep_after_is_between_the_response_and_what_follows(
    tmp_path: Path, option: str
) -> None:
    async with connected(storescp, option, "0.3", "-od", str(tmp_path)) as peer:
        await peer.associate()
        assert await peer.store(UID) == Status.SUCCESS
        responded = time.monotonic()
        assert visible(tmp_path) == [NAME]
        await peer.release()
        assert 0.2 < time.monotonic() - responded < 5


@pytest.mark.parametrize(
    ("option", "more"),
    [("-S", ()), ("--sleep-during", ("--ignore",)), ("-S", ("--abort-after",))],
)
async def test_sleep_during_is_for_each_part_that_comes(
    tmp_path: Path, option: str, more: tuple[str, ...]
) -> None:
    data = ct_dataset(UID)
    async with connected(storescp, option, "0.2", *more, "-od", str(tmp_path)) as peer:
        await peer.associate()
        await peer.begin_store(UID, data[:50])
        begun = time.monotonic()
        await peer.hears_nothing(0.25)
        await peer.finish_store(data[50:])
        if "--abort-after" in more:
            await peer.aborted()
        else:
            assert await peer.status() == Status.SUCCESS
        assert 0.35 < time.monotonic() - begun < 5
    if not more:
        assert dataset_of(tmp_path / NAME) == data
    else:
        assert files(tmp_path) == []


async def test_abort_after_is_when_the_object_has_come(tmp_path: Path) -> None:
    async with connected(storescp, "--abort-after", "-od", str(tmp_path)) as peer:
        await peer.associate()
        assert await peer.echo() == Status.SUCCESS
        await peer.begin_store(UID, ct_dataset(UID))
        await peer.hears_nothing()
        await peer.finish_store(b"")
        assert await peer.aborted() == Abort(0, 0)
    assert visible(tmp_path) == []


async def test_abort_during_is_before_the_object_has_come(tmp_path: Path) -> None:
    async with connected(storescp, "--abort-during", "-od", str(tmp_path)) as peer:
        await peer.associate()
        await peer.begin_store(UID, ct_dataset(UID))
        assert await peer.aborted() == Abort(0, 0)
    assert visible(tmp_path) == []
