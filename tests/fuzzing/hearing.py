"""What was said, as anybody would read it: the messages in a stream of PDUs.

Written from PS3.7 and PS3.8 and nothing else, because what aiodicom makes of the same bytes is
measured by it. It is naive: it stops at what it does not understand, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Heard", "messages_in", "pdus_of"]

_DATA_TF, _LAST, _COMMAND = 4, 2, 1

FIELD, MESSAGE_ID, RESPONDED, STATUS, INSTANCE = 0x0100, 0x0110, 0x0120, 0x0900, 0x1000


@dataclass(slots=True)
class Heard:
    """A message: the elements of its command set by number, and its dataset once all of it came."""

    context_id: int
    elements: dict[int, bytes]
    dataset: bytes | None = None

    def number(self, element: int) -> int:
        return int.from_bytes(self.elements.get(element, b"\xff" * 2)[:2], "little")

    @property
    def instance(self) -> bytes:
        return self.elements.get(INSTANCE, b"").strip(b"\0 ")


def pdus_of(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the body of each PDU, of the last one what there is (PS3.8 9.3.1)."""
    position = 0
    while position + 6 <= len(stream):
        end = position + 6 + int.from_bytes(stream[position + 2 : position + 6], "big")
        yield stream[position], stream[position + 6 : end]
        position = end


def messages_in(stream: bytes) -> list[Heard]:
    """Return the messages whose command sets have come whole (PS3.8 annex E)."""
    heard: list[Heard] = []
    command = dataset = b""
    for kind, body in pdus_of(stream):
        if kind != _DATA_TF:
            command = dataset = b""
            continue
        while len(body) >= 6 and 6 <= (end := 4 + int.from_bytes(body[:4], "big")) <= len(body):
            context_id, control, data, body = body[4], body[5], body[6:end], body[end:]
            if control & _COMMAND:
                command += data
                if control & _LAST:
                    heard.append(Heard(context_id, _elements(command)))
                    command = dataset = b""
            else:
                dataset += data
                if control & _LAST:
                    if heard and heard[-1].dataset is None:
                        heard[-1].dataset = dataset
                    dataset = b""
    return heard


def _elements(command: bytes) -> dict[int, bytes]:
    """Take a command set apart (PS3.7 6.3.1: Implicit VR Little Endian, group 0000)."""
    elements = {}
    while len(command) >= 8:
        end = 8 + int.from_bytes(command[4:8], "little")
        elements[int.from_bytes(command[2:4], "little")] = command[8:end]
        command = command[end:]
    return elements
