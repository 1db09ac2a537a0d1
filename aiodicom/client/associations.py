"""The associations of a requestor: the present one, and how it and others are opened."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

from aiodicom.client.association import RequestorAssociation
from aiodicom.client.opening import Address, open_association
from aiodicom.errors import AssociationClosed, NotSent
from aiodicom.limits import Timeouts
from aiodicom.objects.altered import Alterations
from aiodicom.objects.header import ObjectHeader
from aiodicom.objects.prepared import Preparation
from aiodicom.objects.source import room_of
from aiodicom.wire.buffers import Pool
from aiodicom.wire.proposal import (
    MAXIMUM_CONTEXTS,
    VERIFICATION_CONTEXT,
    Context,
    Proposal,
    contexts_for,
)

__all__ = ["Associations"]

_POOL_BYTES = 4 << 20

Plan = list[tuple[tuple[Context, ...], list[ObjectHeader]]]


class Associations:
    """One association at a time, and another one where other presentation contexts are needed.

    Parameters
    ----------
    address : Address
        Where the acceptor is.
    proposal : Proposal
        What is proposed at first.
    timeouts : Timeouts
        How long the peer is waited for.
    is_automatic : bool
        Whether the presentation contexts follow from the objects, or stay as they are.
    maximum_send_length : int
        The longest P-DATA-TF, in bytes, that is sent; 0: as long as the peer takes.

    Attributes
    ----------
    present : RequestorAssociation or None
        The present association; it may have ended.
    """

    def __init__(
        self,
        address: Address,
        proposal: Proposal,
        timeouts: Timeouts,
        *,
        is_automatic: bool,
        maximum_send_length: int,
    ) -> None:
        self.present: RequestorAssociation | None = None
        self._address = address
        self._proposal = proposal
        self._timeouts = timeouts
        self._is_automatic = is_automatic
        self._maximum_send_length = maximum_send_length
        self._pool = Pool(_POOL_BYTES)
        # Who wants other presentation contexts waits until nobody uses the present ones.
        self._changing = asyncio.Lock()
        self._users: list[asyncio.Task[object] | None] = []
        self._unused = asyncio.Event()
        self._unused.set()

    # The present one -----------------------------------------------------------------------------

    def current(self) -> RequestorAssociation:
        """Return the present association.

        Raises
        ------
        AssociationClosed
            Where there is none.
        """
        if self.present is None:
            raise AssociationClosed("there is no association")
        return self.present

    async def release(self) -> None:
        """Release the association (PS3.8 7.2).

        Raises
        ------
        AssociationClosed
            Where the peer does not answer, or has ended it in another way.
        """
        association, self.present = self.present, None
        if association is not None:
            await association.release()

    async def abort(self) -> None:
        """Abort the association (PS3.8 7.3)."""
        association, self.present = self.present, None
        if association is not None:
            association.abort()
            await association.closed()

    @contextlib.asynccontextmanager
    async def using(self, contexts: tuple[Context, ...]) -> AsyncIterator[RequestorAssociation]:
        """Have the present association be one that has these contexts, while the body runs.

        One that has not is released before, once nobody uses it any more: there are acceptors
        that serve one association at a time.
        """
        task = asyncio.current_task()
        async with self._changing:
            present = self.current()
            missing = [c for c in contexts if c not in present.proposal.contexts]
            if missing or not present.is_open:
                if task in self._users:  # it would wait for itself
                    raise NotSent("another association is needed, while send() uses this one")
                await self._unused.wait()
                with contextlib.suppress(AssociationClosed):
                    await present.release()
                both = (*present.proposal.contexts, *missing)
                wanted = both if len(both) <= MAXIMUM_CONTEXTS else contexts
                present = self.present = await self.open(wanted)
            self._users.append(task)
            self._unused.clear()
        try:
            yield present
        finally:
            self._users.remove(task)
            if not self._users:
                self._unused.set()

    # Others --------------------------------------------------------------------------------------

    async def open(self, contexts: tuple[Context, ...] | None = None) -> RequestorAssociation:
        """Open an association, by default with the contexts of the first proposal.

        Raises
        ------
        AssociationRejected
            Where the peer says no.
        AssociationClosed
            Where there is no connection, or no answer in time.
        """
        proposal = self._proposal
        if contexts is not None:
            proposal = dataclasses.replace(proposal, contexts=contexts)
        return await open_association(self._address, proposal, self._timeouts, self._pool)

    def contexts_of(self, header: ObjectHeader) -> tuple[Context, ...]:
        """Return the presentation contexts that one object needs."""
        if not self._is_automatic:
            return self._proposal.contexts
        return next(contexts_for([(header.sop_class_uid, header.transfer_syntax_uid)]))

    def plan(self, headers: list[ObjectHeader]) -> Plan:
        """Divide objects among associations: one has 128 presentation contexts at most."""
        if not headers:
            return []
        if not self._is_automatic:
            return [(self._proposal.contexts, headers)]
        plan: list[tuple[list[Context], list[ObjectHeader]]] = []
        place: dict[str, int] = {}
        for contexts in contexts_for((h.sop_class_uid, h.transfer_syntax_uid) for h in headers):
            if not plan or len(plan[-1][0]) + len(contexts) > MAXIMUM_CONTEXTS:
                plan.append(([VERIFICATION_CONTEXT], []))
            plan[-1][0].extend(contexts[: MAXIMUM_CONTEXTS - 1])
            place[contexts[0][0]] = len(plan) - 1
        for header in headers:
            plan[place[header.sop_class_uid]][1].append(header)
        return [(tuple(contexts), group) for contexts, group in plan]

    def preparation(
        self, association: RequestorAssociation, alterations: Alterations | None
    ) -> Preparation:
        room = room_of(association.maximum_send_length, self._maximum_send_length)
        return Preparation(association.agreed, room, alterations or Alterations())
