"""What is taken apart without a state: PDUs, command sets, datasets, heads of files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from aiodicom.describe import accept_lines, message_lines, request_lines
from aiodicom.errors import AssociationRejected, NotSent, ProtocolError, Refused
from aiodicom.objects.header import TooShort, parse_header
from aiodicom.wire.dimse import CommandSet, Tag, encode_response
from aiodicom.wire.elements import ElementWalker, Encoding
from aiodicom.wire.negotiation import Policy, is_storage, make_policy, negotiate
from aiodicom.wire.part10 import FileMeta
from aiodicom.wire.pdu import PDU, AssociateAccept, AssociateRequest, decode_pdu, encode_pdu
from aiodicom.wire.proposal import Agreed, Proposal
from tests.fuzzing.inputs import Settings, pieces_of

__all__ = ["commands", "elements", "file_heads", "pdus"]

CLASS, INSTANCE = 0x00080016, 0x00080018

_POLICIES = (Policy(supports=is_storage), make_policy(window=4), make_policy(stores=False))
_PROPOSAL = Proposal((("1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),), window=4)
_ENCODINGS = (
    Encoding(is_explicit=True),
    Encoding(is_explicit=False),
    Encoding(is_explicit=True, is_big=True),
    Encoding(is_explicit=True, is_deflated=True),
)

Target = Callable[[bytes], None]


@contextlib.contextmanager
def pdus() -> Iterator[Target]:
    """Decode one PDU, encode it, describe it, and answer it where it is a proposal."""
    yield _check_pdu


def _check_pdu(data: bytes) -> None:
    settings = Settings(data)
    stream = settings.stream
    if settings.one_of(True, False) and len(stream) >= 6:  # else few get beyond their length
        stream = stream[:2] + (len(stream) - 6).to_bytes(4, "big") + stream[6:]
    try:
        pdu = decode_pdu(stream)
    except ProtocolError:
        return
    again = encode_pdu(pdu)
    assert len(again) == len(stream)
    assert decode_pdu(again) == pdu, "a PDU does not round-trip"
    _check_meaning(pdu, settings.one_of(*_POLICIES))


def _check_meaning(pdu: PDU, policy: Policy) -> None:
    if isinstance(pdu, AssociateRequest):
        _check_lines(request_lines(pdu))
        try:
            agreement = negotiate(pdu, policy)
        except AssociationRejected:
            return
        accept = agreement.accept
        assert decode_pdu(encode_pdu(accept)) == accept
        proposed = [context.context_id for context in pdu.presentation_contexts]
        answered = [context.context_id for context in accept.presentation_contexts]
        assert answered == list(dict.fromkeys(proposed)), "a context without an answer"
    elif isinstance(pdu, AssociateAccept):
        _check_lines(accept_lines(pdu))
        with contextlib.suppress(ProtocolError):
            Agreed.of(_PROPOSAL, pdu)


def _check_lines(lines: Iterator[str]) -> None:
    assert all(line.isprintable() for line in lines), "a peer's text is described as it came"


@contextlib.contextmanager
def commands() -> Iterator[Target]:
    """Decode a command set, ask it for everything, answer it."""
    yield _check_command


def _check_command(data: bytes) -> None:
    try:
        command = CommandSet.decode(data)
    except ProtocolError:
        return
    assert CommandSet.decode(command.encode()).encode() == command.encode()
    for tag in Tag:
        command.number(tag), command.uid(tag), command.text(tag), command.tags(tag)
    assert command.name
    assert isinstance(command.missing(), tuple)
    CommandSet.decode(encode_response(command, 0xA700, "why", (CLASS,)))
    _check_lines(message_lines(1, command, "INCOMING"))


@contextlib.contextmanager
def elements() -> Iterator[Target]:
    """Walk a dataset, whole and in pieces, in some encoding."""
    yield _check_elements


def _check_elements(data: bytes) -> None:
    settings = Settings(data)
    encoding = settings.one_of(*_ENCODINGS)
    why, found = _walked(encoding, pieces_of(settings.chance, settings.stream))
    whole = _walked(encoding, [settings.stream])
    # Of what cannot be inflated zlib gives nothing, or what came in an earlier piece.
    if "inflated" not in why + whole[0]:
        assert (why, found) == whole, "a cut changed what was found"
    assert all(len(value) <= 1 << 14 for value in found.values())


def _walked(encoding: Encoding, pieces: list[bytes]) -> tuple[str, dict[int, bytes]]:
    walker = ElementWalker(encoding, (CLASS, INSTANCE))
    try:
        for piece in pieces:
            walker.feed(piece)
        walker.end()
    except Refused as refused:
        return str(refused), walker.found
    return "", walker.found


@contextlib.contextmanager
def file_heads() -> Iterator[Target]:
    """Read the head of a file, as what stores one and as what sends one."""
    yield _check_file_head


def _check_file_head(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        _, offset = FileMeta.decode(data)
        assert 132 <= offset <= len(data)
    for form in ("any", "file", "dataset"):
        with contextlib.suppress(NotSent):
            header = parse_header(data, form)
            assert 0 <= header.offset <= len(data)
            assert header.offset + header.size == len(data)
        with contextlib.suppress(NotSent, TooShort):
            parse_header(data, form, is_all=False)
