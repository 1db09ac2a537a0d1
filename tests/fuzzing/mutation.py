"""Changes inputs as somebody would who knows what PDUs are: lengths fit again afterwards.

What libFuzzer does by itself changes bytes, and with most changes of a length all that follows is
lost. Here a PDU, an item, a fragment or an element is what is dropped, repeated, moved or changed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.fuzzing.inputs import HEAD

__all__ = [
    "Mutate",
    "MutateBytes",
    "damage",
    "mutate",
    "mutate_bytes",
    "mutate_command",
    "mutate_conversation",
]

MutateBytes = Callable[[bytes, int], bytes]
"""Changes bytes by chance, to no more than so many."""

Mutate = Callable[[bytes, int, random.Random, MutateBytes], bytes]
"""Changes an input, to no more than so many bytes."""

INTERESTING = [0, 1, 2, 3, 5, 6, 7, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]

_ASSOCIATE, _DATA_TF = (1, 2), 4
_FIXED = 68
"""Bytes of an A-ASSOCIATE-RQ or -AC before its items (PS3.8 9.3.2)."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Things that follow one another, each with its length in its head."""

    head: int
    at: int
    size: int
    order: Literal["big", "little"] = "big"

    def split(self, data: bytes) -> list[bytes]:
        """Take them apart; what does not fit is a part of its own."""
        parts = []
        while data:
            length = int.from_bytes(data[self.at : self.at + self.size], self.order)
            end = (
                max(self.at + self.size + length, self.head) if len(data) >= self.head else 1 << 32
            )
            parts.append(data[:end])
            data = data[end:]
        return parts

    def sized(self, part: bytes) -> bytes:
        """Return one with the length that it has now."""
        end = self.at + self.size
        if len(part) < max(end, self.head):
            return part
        length = min(len(part) - end, (1 << 8 * self.size) - 1)
        return part[: self.at] + length.to_bytes(self.size, self.order) + part[end:]


PDU = _Kind(6, 2, 4)
ITEM = _Kind(4, 2, 2)
PDV = _Kind(6, 0, 4)
ELEMENT = _Kind(8, 4, 4, "little")


def mutate(data: bytes, most: int, rng: random.Random, by_bytes: MutateBytes) -> bytes:
    """Change an input, now its head, now its bytes.

    Parameters
    ----------
    data : bytes
        The input.
    most : int
        Bytes that it may have afterwards.
    rng : random.Random
        Chooses.
    by_bytes : callable
        Changes bytes, the fuzzer's way.
    """
    if len(data) < HEAD or rng.random() < 0.1:
        return rng.randbytes(HEAD) + data[HEAD:]
    return data[:HEAD] + by_bytes(data[HEAD:], most - HEAD)


def mutate_bytes(data: bytes, most: int, rng: random.Random, by_bytes: MutateBytes) -> bytes:
    """Change an input that has no head; see `mutate`."""
    return by_bytes(data, most)


def mutate_command(data: bytes, most: int, rng: random.Random, by_bytes: MutateBytes) -> bytes:
    """Change an input that is a command set; see `mutate`."""
    if rng.random() < 0.3:
        return by_bytes(data, most)
    return _changed(rng, ELEMENT, data, by_bytes, _changed_element)[:most]


def mutate_conversation(data: bytes, most: int, rng: random.Random, by_bytes: MutateBytes) -> bytes:
    """Change an input that is a conversation; see `mutate`."""
    if len(data) <= HEAD or rng.random() < 0.3:
        return mutate(data, most, rng, by_bytes)
    pdus = PDU.split(data[HEAD:])
    while True:
        if rng.random() < 0.4:
            _shuffle(rng, pdus)
        elif pdus:
            at = rng.randrange(len(pdus))
            pdus[at] = _changed_pdu(rng, pdus[at], by_bytes)
        if rng.random() < 0.7:
            return (data[:HEAD] + b"".join(pdus))[:most]


def damage(rng: random.Random, data: bytes, most: int) -> bytes:
    """Change some bytes, or their number: what a fuzzer does by itself, for runs without one."""
    damaged = bytearray(data or rng.randbytes(rng.randrange(40)))
    at, how = rng.randrange(len(damaged) or 1), rng.randrange(7)
    if how == 0 and damaged:
        damaged[at] ^= 1 << rng.randrange(8)
    elif how == 1:
        del damaged[at:]
    elif how == 2:
        del damaged[at : at + rng.randrange(1, 20)]
    elif how == 3:
        damaged[at:at] = rng.randbytes(rng.randrange(1, 20))
    elif how == 4:
        damaged[at:at] = damaged[at : at + rng.randrange(1, 60)]
    else:
        size = rng.choice((1, 2, 4))
        number = rng.choice(INTERESTING) & (1 << 8 * size) - 1
        damaged[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))
    return bytes(damaged[:most])


def _shuffle(rng: random.Random, parts: list[bytes]) -> None:
    """Drop, repeat, move or swap parts."""
    if not parts:
        return
    at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
    how = rng.randrange(4)
    if how == 0:
        parts.insert(at, parts[other])
    elif how == 1:
        parts[at], parts[other] = parts[other], parts[at]
    elif how == 2:
        parts.insert(at, parts.pop(other))
    else:
        del parts[at]


def _changed_pdu(rng: random.Random, pdu: bytes, by_bytes: MutateBytes) -> bytes:
    head, body = pdu[:6], pdu[6:]
    if rng.random() < 0.1:
        body = by_bytes(body, len(body) + 64)
    elif head[:1] and head[0] in _ASSOCIATE:
        if rng.random() < 0.15:
            body = by_bytes(body[:_FIXED], _FIXED) + body[_FIXED:]
        else:
            body = body[:_FIXED] + _changed(rng, ITEM, body[_FIXED:], by_bytes, _changed_item)
    elif head[:1] and head[0] == _DATA_TF and rng.random() < 0.2:
        body = _in_fragments(rng, body)
    elif head[:1] and head[0] == _DATA_TF:
        body = _changed(rng, PDV, body, by_bytes, _changed_pdv)
    else:
        body = by_bytes(body, 32)
    return PDU.sized(head + body)


_Change = Callable[[random.Random, bytes, MutateBytes], bytes]


def _changed(
    rng: random.Random, kind: _Kind, data: bytes, by_bytes: MutateBytes, change: _Change
) -> bytes:
    """Change one of the parts, or their order."""
    parts = kind.split(data)
    if not parts or rng.random() < 0.3:
        _shuffle(rng, parts)
    else:
        at = rng.randrange(len(parts))
        parts[at] = kind.sized(change(rng, parts[at], by_bytes))
    return b"".join(parts)


def _changed_item(rng: random.Random, item: bytes, by_bytes: MutateBytes) -> bytes:
    head, value = item[:4], item[4:]
    if rng.random() < 0.1:
        return bytes((rng.choice((0x10, 0x20, 0x30, 0x40, *range(0x50, 0x5A))),)) + item[1:]
    fixed = 4 if head[:1] in (b"\x20", b"\x21") else 0
    if (fixed or head[:1] == b"\x50") and rng.random() < 0.8:
        inner = _changed(rng, ITEM, value[fixed:], by_bytes, _changed_value)
        return head + value[:fixed] + inner
    return head + by_bytes(value, len(value) + 64)


def _changed_value(rng: random.Random, item: bytes, by_bytes: MutateBytes) -> bytes:
    return item[:4] + by_bytes(item[4:], len(item) + 32)


def _changed_pdv(rng: random.Random, pdv: bytes, by_bytes: MutateBytes) -> bytes:
    head, data = pdv[:6], pdv[6:]
    if rng.random() < 0.15 and len(head) == 6:  # its context, or its control header
        return head[:4] + by_bytes(head[4:], 2).ljust(2, b"\0") + data
    if len(head) == 6 and head[5] & 1 and rng.random() < 0.8:
        return head + _changed(rng, ELEMENT, data, by_bytes, _changed_element)
    return head + by_bytes(data, len(data) + 64)


def _in_fragments(rng: random.Random, body: bytes) -> bytes:
    """Make two fragments of one."""
    pdvs = PDV.split(body)
    at = rng.randrange(len(pdvs)) if pdvs else 0
    for pdv in pdvs[at : at + 1]:
        head, cut = pdv[:6], rng.randrange(6, len(pdv) + 1) if len(pdv) > 6 else 6
        first = head[:5] + bytes(byte & 1 for byte in head[5:]) + pdv[6:cut]
        pdvs[at : at + 1] = PDV.sized(first), PDV.sized(head + pdv[cut:])
    return b"".join(pdvs)


def _changed_element(rng: random.Random, element: bytes, by_bytes: MutateBytes) -> bytes:
    if rng.random() < 0.1:
        return by_bytes(element[:4], 4).ljust(4, b"\0") + element[4:]
    return element[:8] + by_bytes(element[8:], len(element) + 16)
