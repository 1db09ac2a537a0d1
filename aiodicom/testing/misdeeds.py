"""What a requestor may do to a receiver: one misdeed each, on a connection of its own.

Each is called with a `ScriptedPeer` that has connected, and comes to its end whatever the receiver
does::

    @pytest.mark.parametrize("misdeed", testing.MISDEEDS)
    async def test_survives(misdeed):
        async with testing.ScriptedPeer(port) as peer:
            await misdeed(peer)
        ...  # and now a sender that does everything right
"""

from __future__ import annotations

from aiodicom.testing.messages import (
    CT_CONTEXT,
    command_pdu,
    ct_dataset,
    echo_command,
    fragment,
    store_command,
    store_pdus,
)
from aiodicom.testing.peer import ScriptedPeer

__all__ = [
    "MISDEEDS",
    "abort_in_the_middle",
    "break_off",
    "command_without_dataset",
    "connect_and_leave",
    "garbage",
    "half_a_dataset",
    "never_read",
    "no_association",
    "reset",
    "wrong_length",
]

_UID = "1.2.3.4"

_ANSWERS = 2_000
"""Requests of somebody who never reads: their answers fill a small receive buffer, and more."""


async def connect_and_leave(peer: ScriptedPeer) -> None:
    """Say nothing at all, and close."""


async def garbage(peer: ScriptedPeer) -> None:
    """Send what is no PDU: a web browser's request."""
    await peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def no_association(peer: ScriptedPeer) -> None:
    """Send a C-STORE without having asked for an association."""
    await peer.send(store_pdus(_UID))


async def command_without_dataset(peer: ScriptedPeer) -> None:
    """Send the command of a C-STORE, and of its dataset not a byte; close."""
    await peer.associate()
    await peer.send(command_pdu(store_command(_UID)))


async def half_a_dataset(peer: ScriptedPeer) -> None:
    """Send the command of a C-STORE and half of its dataset; close."""
    await peer.associate()
    data = ct_dataset(_UID)
    await peer.begin_store(_UID, data[: len(data) // 2])


async def break_off(peer: ScriptedPeer) -> None:
    """Send half of a PDU; close."""
    await peer.associate()
    pdus = store_pdus(_UID)
    await peer.send(pdus[: len(pdus) - 20])


async def wrong_length(peer: ScriptedPeer) -> None:
    """Send a P-DATA-TF whose PDV is longer than itself (PS3.8 9.3.5)."""
    await peer.associate()
    pdu = bytearray(fragment(ct_dataset(_UID), CT_CONTEXT))
    pdu[6:10] = (1 << 20).to_bytes(4, "big")
    await peer.send(command_pdu(store_command(_UID)) + bytes(pdu))


async def abort_in_the_middle(peer: ScriptedPeer) -> None:
    """Send half of a dataset, and A-ABORT."""
    await half_a_dataset(peer)
    await peer.abort()


async def reset(peer: ScriptedPeer) -> None:
    """Send half of a dataset, and reset the connection."""
    await half_a_dataset(peer)
    peer.reset()


async def never_read(peer: ScriptedPeer) -> None:
    """Ask for more answers than one reads; close.

    The more, the smaller the receive buffer that the peer was made with.
    """
    await peer.associate()
    peer.stop_reading()
    peer.writer.transport.set_write_buffer_limits(1 << 30)  # nobody waits for the receiver
    request = command_pdu(echo_command(), 1)
    await peer.send(request * _ANSWERS)


MISDEEDS = (
    connect_and_leave,
    garbage,
    no_association,
    command_without_dataset,
    half_a_dataset,
    break_off,
    wrong_length,
    abort_in_the_middle,
    reset,
    never_read,
)
"""All of them."""
