"""What bytes mean, to us and to pynetdicom and pydicom: valid ones, and what chance makes of them.

Where both sides understand something it must be the same. Where only one does, nothing is said: the
others fail on values that we keep as they come, and we on lengths that they do not look at.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator
from pynetdicom import build_context
from pynetdicom import pdu as theirs
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from aiodicom.errors import ProtocolError
from aiodicom.wire.dimse import CommandSet
from aiodicom.wire.items import AsynchronousOperationsWindow, ProposedContext
from aiodicom.wire.negotiation import make_policy, negotiate
from aiodicom.wire.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    decode_pdu,
)
from tests.fuzzing.hearing import pdus_of
from tests.fuzzing.inputs import HEAD
from tests.fuzzing.mutation import damage, mutate_command, mutate_conversation
from tests.fuzzing.targets import CORPUS
from tests.peer import association_request

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of values

TIMES = 400
LONGEST = 1 << 13
DIGEST = 40
"""Letters of what a fuzzer calls its inputs."""


THEIRS = {
    1: theirs.A_ASSOCIATE_RQ,
    2: theirs.A_ASSOCIATE_AC,
    3: theirs.A_ASSOCIATE_RJ,
    4: theirs.P_DATA_TF,
    5: theirs.A_RELEASE_RQ,
    6: theirs.A_RELEASE_RP,
    7: theirs.A_ABORT_RQ,
}


def recorded_pdus(pdu_type: int) -> list[bytes]:
    """Return all PDUs of a type in the corpus that nobody has damaged."""
    found = []
    for target in ("acceptor", "requestor", "pdus"):
        for path in sorted((CORPUS / target).iterdir()):
            if len(path.name) == DIGEST or path.name.startswith("finding"):
                continue
            for kind, body in pdus_of(path.read_bytes()[HEAD:]):
                if kind == pdu_type:
                    found.append(bytes((kind, 0)) + len(body).to_bytes(4, "big") + body)
    return found


# PDUs ------------------------------------------------------------------------------------------


def our_meaning(data: bytes) -> object:
    pdu = decode_pdu(data)
    if isinstance(pdu, AssociateRequest | AssociateAccept):
        contexts: list[tuple[object, ...]]
        if isinstance(pdu, AssociateRequest):
            contexts = [
                (c.context_id, c.abstract_syntax, tuple(c.transfer_syntaxes))
                for c in pdu.presentation_contexts
            ]
        else:
            contexts = [
                (c.context_id, c.result, "" if c.result else c.transfer_syntax)
                for c in pdu.presentation_contexts
            ]
        window = pdu.user_item(AsynchronousOperationsWindow)
        return (
            pdu.application_context_name,
            contexts,
            pdu.maximum_length,
            pdu.implementation_class_uid,
            pdu.implementation_version_name,
            (window.invoked, window.performed) if window else None,
        )
    if isinstance(pdu, AssociateReject):
        return pdu.result, pdu.source, pdu.reason
    if isinstance(pdu, DataTransfer):
        return [(pdv.context_id, pdv.is_command, pdv.is_last, bytes(pdv.data)) for pdv in pdu.pdvs]
    return (pdu.source, pdu.reason) if isinstance(pdu, Abort) else data[0]


def text(value: object) -> str:
    """Return theirs without its padding: they leave all but one byte of it (PS3.5 9.1, 6.2)."""
    return "" if value is None else str(value).strip("\0 ")


def their_meaning(data: bytes) -> object:
    contexts: list[tuple[object, ...]]
    pdu: Any = THEIRS[data[0]]()
    pdu.decode(data)
    if data[0] in (1, 2):
        user = pdu.user_information
        window = user.async_ops_window
        if data[0] == 1:
            contexts = [
                (c.context_id, text(c.abstract_syntax), tuple(map(text, c.transfer_syntax)))
                for c in pdu.presentation_context
            ]
        else:
            contexts = [
                (c.context_id, c.result, "" if c.result else text(c.transfer_syntax))
                for c in pdu.presentation_context
            ]
        return (
            text(pdu.application_context_name),
            contexts,
            user.maximum_length or 0,
            text(user.implementation_class_uid),
            text(user.implementation_version_name),
            (window.max_operations_invoked, window.max_operations_performed) if window else None,
        )
    if data[0] == 3:
        return pdu.result, pdu.source, pdu.reason_diagnostic
    if data[0] == 4:
        values = [
            (item.context_id, item.presentation_data_value)
            for item in pdu.presentation_data_value_items
        ]
        return [(number, bool(v[0] & 1), bool(v[0] & 2), v[1:]) for number, v in values]
    return (pdu.source, pdu.reason_diagnostic) if data[0] == 7 else data[0]


def understood(by: Callable[[bytes], object], data: bytes) -> object:
    """Return what somebody understands, and None where it is nothing."""
    try:
        return by(data)
    except Exception:
        return None


@pytest.mark.parametrize("pdu_type", THEIRS)
def test_recorded_pdus_mean_the_same(pdu_type: int) -> None:
    recorded = recorded_pdus(pdu_type)
    assert recorded
    for data in recorded:
        meaning = understood(their_meaning, data)
        if meaning is not None:
            assert our_meaning(data) == meaning
    assert sum(understood(their_meaning, data) is not None for data in recorded) > 0


@pytest.mark.parametrize("pdu_type", THEIRS)
def test_changed_pdus_mean_the_same_where_both_understand_them(pdu_type: int) -> None:
    rng, recorded, both = random.Random(pdu_type), recorded_pdus(pdu_type), 0
    for _ in range(TIMES):
        data = changed(rng, rng.choice(recorded))
        if data[:1] != bytes((pdu_type,)):
            continue
        mine, meaning = understood(our_meaning, data), understood(their_meaning, data)
        if mine is not None and meaning is not None:
            assert mine == meaning, data
            both += 1
    assert both > TIMES // 20


def changed(rng: random.Random, pdu: bytes) -> bytes:
    data = bytes(HEAD) + pdu
    while data[HEAD:] == pdu:
        data = mutate_conversation(data, LONGEST, rng, lambda b, most: damage(rng, b, most))
    (kind, body), *_ = [*pdus_of(data[HEAD:]), (0, b"")]
    return bytes((kind, 0)) + len(body).to_bytes(4, "big") + body


# Command sets ----------------------------------------------------------------------------------


def their_elements(data: bytes) -> dict[int, bytes]:
    """Return what pydicom finds, as encoded."""
    found = {}
    for element in data_element_generator(BytesIO(data), True, True):
        assert isinstance(element, RawDataElement)
        found[int(element.tag)] = element.value or b""
    return found


def test_changed_command_sets_have_the_elements_that_pydicom_finds() -> None:
    recorded = [path.read_bytes() for path in sorted((CORPUS / "commands").iterdir())]
    rng, both = random.Random(1), 0
    for _ in range(5 * TIMES):
        data = mutate_command(
            rng.choice(recorded), LONGEST, rng, lambda b, most: damage(rng, b, most)
        )
        try:
            mine = CommandSet.decode(data).elements
        except ProtocolError:
            continue
        meaning = understood(their_elements, data)
        if meaning is not None:
            assert mine == meaning, data
            both += 1
    assert both > TIMES


# Negotiation -----------------------------------------------------------------------------------

ABSTRACT = [f"1.2.840.10008.5.1.4.1.1.{number}" for number in (1, 2, 4, 7)]
TRANSFER = [f"1.2.840.10008.1.2{tail}" for tail in ("", ".1", ".2", ".4.50", ".4.90", ".5")]


def test_a_proposal_has_the_answer_that_pynetdicom_gives() -> None:
    rng = random.Random(1)
    for _ in range(TIMES):
        supported = {uid: some(rng) for uid in rng.sample(ABSTRACT, rng.randint(1, 4))}
        proposed = [
            (number, rng.choice(ABSTRACT), some(rng))
            for number in sorted(rng.sample(range(1, 256, 2), rng.randint(1, 9)))
        ]
        assert our_answer(proposed, supported) == their_answer(proposed, supported)


def some(rng: random.Random) -> list[str]:
    return rng.sample(TRANSFER, rng.randint(1, len(TRANSFER)))


Proposed = list[tuple[int, str, list[str]]]
Answer = list[tuple[object, object, str]]


def our_answer(proposed: Proposed, supported: dict[str, list[str]]) -> Answer:
    contexts = [ProposedContext.of(number, uid, *transfer) for number, uid, transfer in proposed]
    agreement = negotiate(association_request(contexts), make_policy(contexts=supported))
    return [
        (context.context_id, context.result, context.transfer_syntax)
        for context in agreement.accept.presentation_contexts
    ]


def their_answer(proposed: Proposed, supported: dict[str, list[str]]) -> Answer:
    contexts = []
    for number, uid, transfer in proposed:
        context: PresentationContext = build_context(uid, transfer)
        context.context_id = number
        contexts.append(context)
    offered = [build_context(uid, transfer) for uid, transfer in supported.items()]
    answer, _ = negotiate_as_acceptor(contexts, offered)
    return [(c.context_id, c.result, str(c.transfer_syntax[0])) for c in answer]
