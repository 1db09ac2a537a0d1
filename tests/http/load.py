"""Many senders at a time, for a receiver that is a process of its own."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiodicom.wire.items import ProposedContext
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.pdu import AssociateAccept, AssociateReject
from tests.peer import (
    CT,
    CT_CONTEXT,
    PATIENCE,
    association_request,
    command_pdu,
    dataset_pdus,
    element,
    store_command,
    uid_value,
)
from tests.processes import Sender

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Modality:
    """One sender: its AE title, what it sends, how large, and its pause after each object."""

    title: str = "SENDER"
    sop_class: str = CT
    size: int = 20_000
    pause: float = 0.02

    def object(self) -> bytes:
        """A C-STORE of a new object."""
        uid = f"2.25.{next(_NUMBERS)}"
        command = store_command(uid, sop_class_uid=self.sop_class)
        data = element(0x0008_0016, b"UI", uid_value(self.sop_class))
        data += element(0x0008_0018, b"UI", uid_value(uid))
        data += b"\xe0\x7f\x10\x00OW\0\0" + self.size.to_bytes(4, "little") + bytes(self.size)
        return command_pdu(command) + dataset_pdus(data)

    def send(self, port: int, is_over: threading.Event, has_begun: threading.Event) -> None:
        """Send objects over one association until it is over; say when there is one."""
        contexts = (ProposedContext.of(CT_CONTEXT, self.sop_class, EXPLICIT_LITTLE),)
        with Sender(port) as sender, contextlib.suppress(OSError, EOFError):
            sender.send(association_request(contexts, calling=self.title, called="ARCHIVE"))
            assert isinstance(sender.receive(), AssociateAccept)
            has_begun.set()
            while not is_over.is_set():
                sender.send(self.object())
                sender.status()
                is_over.wait(self.pause)
            sender.release()


SIXTEEN = tuple(Modality(f"SENDER_{number}") for number in range(16))


@contextlib.contextmanager
def sending(port: int, modalities: Sequence[Modality] = SIXTEEN) -> Iterator[None]:
    """Have them send while the body runs, which begins when all have an association."""
    is_over, begun = threading.Event(), [threading.Event() for _ in modalities]
    threads = [
        threading.Thread(target=each.send, args=(port, is_over, has_begun))
        for each, has_begun in zip(modalities, begun, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        assert all(has_begun.wait(PATIENCE) for has_begun in begun)
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def rejected(port: int, title: str, called: str = "ARCHIVE") -> None:
    """Ask for an association that is rejected."""
    with Sender(port) as sender:
        sender.send(association_request(calling=title, called=called))
        assert isinstance(sender.receive(), AssociateReject)
