"""What an acceptor may do to a sender: functions that make scripts for `accepting`."""

from __future__ import annotations

import asyncio

from aiodicom.testing.acceptor import Script
from aiodicom.testing.messages import accepted
from aiodicom.testing.peer import ScriptedPeer
from aiodicom.wire.dimse import Status
from aiodicom.wire.items import AcceptedContext
from aiodicom.wire.pdu import AssociateRequest

__all__ = ["aborting", "answering", "closing", "refusing_contexts", "rejecting", "silent"]


def rejecting(result: int = 1, source: int = 1, reason: int = 1) -> Script:
    """Reject the association; by default permanently, as service-user, without a reason given.

    Parameters
    ----------
    result, source, reason : int
        As in PS3.8 table 9-21.
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.reject(result, source, reason)
        await peer.gone()

    return script


def refusing_contexts(result: int = 3) -> Script:
    """Accept the association, but none of its presentation contexts.

    Parameters
    ----------
    result : int
        1 user rejection, 2 no reason, 3 abstract syntax not supported, 4 transfer syntaxes not
        supported (PS3.8 table 9-18).
    """

    def answer(request: AssociateRequest) -> list[AcceptedContext]:
        # Whatever stands there is not looked at; something must (PS3.8 9.3.3.2).
        return [
            accepted(each.context_id, each.transfer_syntaxes[0], result)
            for each in request.presentation_contexts
        ]

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept(answer=answer)
        await _serve(peer)

    return script


def answering(status: int = Status.SUCCESS, comment: str = "", *, after: float = 0) -> Script:
    """Answer every request with one status.

    Parameters
    ----------
    status : int
        The Status (0000,0900).
    comment : str
        The Error Comment (0000,0902).
    after : float
        Seconds from the end of each request to its answer.
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await _serve(peer, status=status, comment=comment, after=after)

    return script


def aborting(after: int = 0, source: int = 0, reason: int = 0) -> Script:
    """Send A-ABORT instead of an answer.

    Parameters
    ----------
    after : int
        How many requests are answered with success before.
    source, reason : int
        As in PS3.8 table 9-26.
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await _serve(peer, requests=after)
        await peer.next_request()
        await peer.abort(source, reason)
        await peer.gone()

    return script


def closing(after: int = 0) -> Script:
    """Close the connection instead of an answer, without a word.

    Parameters
    ----------
    after : int
        How many requests are answered with success before.
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await _serve(peer, requests=after)
        await peer.next_request()

    return script


def silent(after: int = 0) -> Script:
    """Take requests, and answer them never more.

    Parameters
    ----------
    after : int
        How many requests are answered with success before.
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await _serve(peer, requests=after)
        while await peer.reader.read(1 << 20):
            pass

    return script


async def _serve(
    peer: ScriptedPeer,
    *,
    requests: int | None = None,
    status: int = Status.SUCCESS,
    comment: str = "",
    after: float = 0,
) -> None:
    """Answer so many requests, or all until the association is released."""
    answered = 0
    while requests is None or answered < requests:
        request = await peer.next_request()
        if request is None:
            await peer.gone()
            return
        if after:
            await asyncio.sleep(after)
        await peer.respond(request, status, comment)
        answered += 1
