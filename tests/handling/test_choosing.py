"""when(): a handler for some of the objects."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import MRImageStorage

import aiodicom
from aiodicom import AssociationInfo, AssociationRejected, Status, StoreRequest, when
from aiodicom.wire.dimse import Tag
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.pdu import AssociateRequest
from tests.peer import CT, CT_CONTEXT, Peer, association_request, status_of, store_pdus
from tests.serving import Keeper, discard, serving

MR = str(MRImageStorage)


async def chosen(
    request: AssociateRequest | None = None, *, has_otherwise: bool = True, **conditions: Any
) -> tuple[bool, int, int | None]:
    """Send a CT; return whether the handler has it, the status, and the offending element."""
    keeper, other = Keeper(), Keeper()
    store = when(keeper, **conditions, otherwise=other if has_otherwise else None)
    async with serving(store=store) as server, Peer(server.port) as peer:
        await peer.associate(request)
        await peer.send(store_pdus("1.2.3"))
        response = await peer.response()
    assert len(keeper.requests) + len(other.requests) <= 1
    offending = response.elements.get(Tag.OFFENDING_ELEMENT)
    return bool(keeper.requests), status_of(response), None if offending is None else len(offending)


@pytest.mark.parametrize(
    ("sop_class", "is_chosen"),
    [
        (CT, True),
        ("CTImageStorage", True),
        ("CT Image Storage", True),
        ([MR, "CTImageStorage"], True),
        ({MR}, False),
        ("MRImageStorage", False),
    ],
)
async def test_objects_are_chosen_by_sop_class(sop_class: Any, is_chosen: bool) -> None:
    assert (await chosen(sop_class=sop_class))[:2] == (is_chosen, Status.SUCCESS)


@pytest.mark.parametrize(
    ("conditions", "is_chosen"),
    [
        ({"calling_ae_title": "PEER"}, True),
        ({"calling_ae_title": " PEER "}, True),
        ({"calling_ae_title": "peer"}, False),
        ({"calling_ae_title": ["A", "PEER"]}, True),
        ({"called_ae_title": "ANY-SCP"}, True),
        ({"called_ae_title": "PEER"}, False),
        ({"calling_ae_title": "PEER", "called_ae_title": "B"}, False),
        ({"calling_ae_title": "PEER", "sop_class": MR}, False),
        ({"calling_ae_title": "PEER", "sop_class": CT}, True),
    ],
)
async def test_all_conditions_must_hold(conditions: Any, is_chosen: bool) -> None:
    assert (await chosen(**conditions))[:2] == (is_chosen, Status.SUCCESS)


async def test_other_objects_are_refused_with_what_is_wrong() -> None:
    of_class = await chosen(sop_class=MR, has_otherwise=False)
    assert of_class == (False, Status.SOP_CLASS_NOT_SUPPORTED, 4)
    of_title = await chosen(calling_ae_title="A", has_otherwise=False)
    assert of_title == (False, Status.NOT_AUTHORIZED, None)
    of_both = await chosen(calling_ae_title="A", sop_class=MR, has_otherwise=False)
    assert of_both[1] == Status.NOT_AUTHORIZED


async def test_a_chain_ends_at_the_first_that_fits() -> None:
    first, second, third = Keeper(), Keeper(), Keeper()
    by_title = when(second, calling_ae_title="PEER", otherwise=third)
    async with (
        serving(store=when(first, sop_class=MR, otherwise=by_title)) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
    assert [len(k.requests) for k in (first, second, third)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ({}, "when what"),
        ({"sop_class": "NoSuchStorage"}, "no SOP class"),
        ({"sop_class": "ExplicitVRLittleEndian"}, "no SOP class"),
        ({"sop_class": []}, "no value"),
        ({"called_ae_title": ()}, "no value"),
    ],
)
def test_conditions_that_mean_nothing_are_errors(conditions: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        when(discard, **conditions)


# admit -------------------------------------------------------------------------------------------


class Full:
    """A handler that has no room."""

    async def __call__(self, request: StoreRequest) -> int:
        return await discard(request)

    def admit(self, info: AssociationInfo) -> None:
        raise AssociationRejected("full", 2, 3, 1)


ONLY_MR = association_request([ProposedContext.of(CT_CONTEXT, MR, "1.2.840.10008.1.2")])


@pytest.mark.parametrize(
    ("store", "request_", "is_rejected"),
    [
        (when(Full(), calling_ae_title="PEER"), None, True),
        (when(Full(), calling_ae_title="A"), None, False),
        (when(Full(), sop_class=CT), None, True),
        (when(Full(), sop_class=CT), ONLY_MR, False),
        (when(discard, sop_class=MR, otherwise=Full()), ONLY_MR, False),
        (when(discard, sop_class=MR, otherwise=Full()), None, True),
        (when(discard, sop_class=CT, otherwise=Full()), None, False),  # C-ECHO brings no object
        (when(discard, calling_ae_title="PEER", otherwise=Full()), None, False),
        (when(discard, calling_ae_title="A", otherwise=Full()), None, True),
    ],
)
async def test_only_those_are_asked_who_may_be_given_something(
    store: aiodicom.StoreHandler, request_: AssociateRequest | None, is_rejected: bool
) -> None:
    async with serving(store=store) as server, Peer(server.port) as peer:
        if is_rejected:
            assert await peer.rejected(request_) == (2, 3, 1)
        else:
            await peer.associate(request_)


async def test_a_choice_keeps_the_stream() -> None:
    keeper = Keeper()
    async with serving(store=when(keeper, sop_class=CT)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await peer.finish_store(b" and the rest")
        assert await peer.status() == Status.SUCCESS
        assert await keeper.outcome() == b"a part and the rest"
