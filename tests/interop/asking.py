"""Associations that pynetdicom asks for, and what it is answered."""

from __future__ import annotations

from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ

Rejection = tuple[int | None, int | None, int | None]
"""Result, source and reason (PS3.8 9.3.4)."""


def ask(entity: AE, port: int, **settings: Any) -> tuple[Association, Rejection | None]:
    """Ask for an association; return it, and its rejection if it was rejected.

    On a busy machine pynetdicom 3.0 takes a rejection for a connection that has failed: the thread
    that asked looks whether there is one when another thread has read the answer and closed it.
    """
    rejections: list[Rejection] = []

    def note(event: evt.Event) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            pdu = event.pdu
            rejections.append((pdu.result, pdu.source, pdu.reason_diagnostic))

    handlers: list[Any] = [(evt.EVT_PDU_RECV, note)]
    association = entity.associate("127.0.0.1", port, evt_handlers=handlers, **settings)
    return association, rejections[0] if rejections else None
