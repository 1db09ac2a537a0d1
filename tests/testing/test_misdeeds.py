"""What a scripted requestor does, and that a receiver serves the next one."""

from __future__ import annotations

import pytest

from aiodicom import AssociationAborted, AssociationClosed, AssociationLost
from aiodicom.testing import MISDEEDS, ScriptedPeer, misdeeds
from aiodicom.testing.acceptor import Script
from aiodicom.wire.pdu import Abort
from tests.serving import Keeper, empty, serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("misdeed", MISDEEDS)
async def test_a_receiver_serves_the_next_one(misdeed: Script) -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server:
        async with ScriptedPeer(server.port, receive_buffer=4096) as peer:
            await misdeed(peer)
        async with ScriptedPeer(server.port) as peer:
            await peer.associate()
            assert await peer.store("1.2.3.5") == 0
            await peer.release()
        await empty(server)
        assert keeper.requests[-1].sop_instance_uid == "1.2.3.5"


@pytest.mark.parametrize(
    ("misdeed", "error"),
    [
        (misdeeds.command_without_dataset, AssociationLost),
        (misdeeds.half_a_dataset, AssociationLost),
        (misdeeds.abort_in_the_middle, AssociationAborted),
    ],
)
async def test_an_object_is_begun_and_never_whole(
    misdeed: Script, error: type[AssociationClosed]
) -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server:
        async with ScriptedPeer(server.port) as peer:
            await misdeed(peer)
        assert type(await keeper.outcome()) is error


@pytest.mark.parametrize(
    ("misdeed", "source"),
    [(misdeeds.garbage, 0), (misdeeds.no_association, 0), (misdeeds.wrong_length, 2)],
)
async def test_a_breach_of_the_protocol_is_answered_with_an_abort(
    misdeed: Script, source: int
) -> None:
    async with serving(store=Keeper()) as server, ScriptedPeer(server.port) as peer:
        await misdeed(peer)
        assert isinstance(abort := await peer.receive(), Abort)
        assert abort.source == source


def test_all_misdeeds_are_in_the_list() -> None:
    assert {each.__name__ for each in MISDEEDS} == set(misdeeds.__all__) - {"MISDEEDS"}
