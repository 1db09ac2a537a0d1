"""The seven PDUs: as the standard writes them, as pynetdicom does, and round trips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import build_context
from pynetdicom import pdu as theirs
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from aiodicom.errors import AbortReason, ProtocolError
from aiodicom.wire import items as ours
from aiodicom.wire.pdu import (
    APPLICATION_CONTEXT_NAME,
    PDU,
    PDV,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    ae_title_field,
    decode_pdu,
    encode_pdu,
)
from tests.peer import CT, association_request
from tests.wire.test_items import CONTEXT_LISTS, SMALL, UNKNOWN, USER_ITEMS

REQUEST = association_request()
ACCEPT = AssociateAccept(
    REQUEST.called_ae_title_field,
    REQUEST.calling_ae_title_field,
    (ours.AcceptedContext(1, 0, (ours.TransferSyntax("1.2.840.10008.1.2"),)),),
)

# As the standard writes them -------------------------------------------------------------------

TABLES: list[tuple[PDU, bytes]] = [
    (AssociateReject(1, 2, 3), b"\3\0\0\0\0\4\0\1\2\3"),
    (DataTransfer((PDV(5, True, True, b"ab"),)), b"\4\0\0\0\0\x08\0\0\0\4\5\3ab"),
    (DataTransfer((PDV(5, False, False, b""),)), b"\4\0\0\0\0\6\0\0\0\2\5\0"),
    (DataTransfer((PDV(1, True, False, b"a"), PDV(1, False, True, b"b"))),
     b"\4\0\0\0\0\x0e\0\0\0\3\1\1a\0\0\0\3\1\2b"),
    (DataTransfer(()), b"\4\0\0\0\0\0"),
    (ReleaseRequest(), b"\5\0\0\0\0\4\0\0\0\0"),
    (ReleaseResponse(), b"\6\0\0\0\0\4\0\0\0\0"),
    (Abort(2, 6), b"\7\0\0\0\0\4\0\0\2\6"),
]  # fmt: skip


@pytest.mark.parametrize(("pdu", "data"), TABLES, ids=lambda v: type(v).__name__)
def test_a_pdu_is_written_as_the_standard_says(pdu: PDU, data: bytes) -> None:
    assert encode_pdu(pdu) == data
    assert decode_pdu(data) == pdu


def test_a_request_is_written_as_the_standard_says() -> None:
    request = AssociateRequest(
        ae_title_field("CALLED"), ae_title_field("CALLING"), (ours.ApplicationContext("1.2"),)
    )
    titles = b"CALLED          " + b"CALLING         "
    body = b"\0\1\0\0" + titles + bytes(32) + b"\x10\0\0\x03" + b"1.2"
    assert encode_pdu(request) == b"\1\0\0\0\0\x4b" + body
    assert encode_pdu(AssociateAccept(*_fields(request)))[6:] == body
    assert decode_pdu(encode_pdu(request)) == request


def _fields(request: AssociateRequest) -> tuple[bytes, bytes, tuple[ours.Item, ...]]:
    return request.called_ae_title_field, request.calling_ae_title_field, request.items


def test_reserved_bytes_that_are_echoed_are_kept() -> None:
    # PS3.8 9.3.3: bytes 11 to 74 of an A-ASSOCIATE-AC are those of the request.
    data = bytearray(encode_pdu(REQUEST))
    data[10:74] = bytes(range(64))
    assert encode_pdu(decode_pdu(bytes(data))) == data


@pytest.mark.parametrize("pdu", [pdu for pdu, _ in TABLES[-3:]], ids=lambda v: type(v).__name__)
def test_reserved_bytes_are_not_tested(pdu: PDU) -> None:
    data = bytearray(encode_pdu(pdu))
    data[1] = data[6] = data[7] = 0xFF
    assert decode_pdu(bytes(data)) == pdu


def test_upper_bits_of_a_message_control_header_are_not_tested() -> None:
    assert decode_pdu(b"\4\0\0\0\0\6\0\0\0\2\5\xfe") == DataTransfer((PDV(5, False, True, b""),))


# What is in them -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", [b"STORE           ", b"   STORE        ", b"STORE" + bytes(11), b"STORE \0\0        "]
)
def test_ae_titles_are_trimmed_but_kept(field: bytes) -> None:
    request = replace(REQUEST, called_ae_title_field=field, calling_ae_title_field=field)
    decoded = decode_pdu(encode_pdu(request))
    assert isinstance(decoded, AssociateRequest)
    assert decoded.called_ae_title == decoded.calling_ae_title == "STORE"
    assert decoded.called_ae_title_field == field


def test_an_ae_title_of_any_bytes() -> None:
    request = replace(REQUEST, calling_ae_title_field=bytes(range(0xF0, 0x100)))
    assert decode_pdu(encode_pdu(request)) == request
    assert len(request.calling_ae_title) == 16


def test_an_ae_title_of_more_than_16_characters() -> None:
    assert ae_title_field("A" * 16) == b"A" * 16
    with pytest.raises(ValueError, match="longer than 16"):
        ae_title_field("A" * 17)


def test_the_user_information_is_read() -> None:
    user = ours.UserInformation(
        (
            ours.MaximumLength(1234),
            ours.ImplementationClassUID("1.2.3\0"),
            ours.ImplementationVersionName("ME \0"),
        )
    )
    request = replace(REQUEST, items=(user,))
    assert request.maximum_length == 1234
    assert request.implementation_class_uid == "1.2.3"
    assert request.implementation_version_name == "ME"
    assert request.user_item(ours.RoleSelection) is None


def test_a_request_that_says_nothing() -> None:
    request = replace(REQUEST, items=())
    assert (request.maximum_length, request.application_context_name) == (0, "")
    assert (request.implementation_class_uid, request.implementation_version_name) == ("", "")
    assert request.presentation_contexts == request.user_items == ()
    assert decode_pdu(encode_pdu(request)) == request


def test_a_padded_application_context() -> None:
    items = (ours.ApplicationContext(APPLICATION_CONTEXT_NAME + "\0"),)
    assert replace(REQUEST, items=items).application_context_name == APPLICATION_CONTEXT_NAME


def test_items_of_two_user_informations_are_read() -> None:
    one = ours.UserInformation((ours.MaximumLength(1),))
    two = ours.UserInformation((ours.ImplementationVersionName("X"),))
    request = replace(REQUEST, items=(one, two))
    assert (request.maximum_length, request.implementation_version_name) == (1, "X")


# Lies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\5\0\0\0\0", id="a header cut off"),
        pytest.param(b"\5\0\0\0\0\4\0\0\0", id="a body cut off"),
        pytest.param(b"\5\0\0\0\0\4\0\0\0\0\0", id="a byte too many"),
        pytest.param(TABLES[1][1] + TABLES[2][1][6:], id="a PDV too many"),
        pytest.param(b"\5\0\0\0\0\3\0\0\0", id="a short release request"),
        pytest.param(b"\6\0\0\0\0\5\0\0\0\0\0", id="a long release response"),
        pytest.param(b"\3\0\0\0\0\0", id="an empty rejection"),
        pytest.param(b"\7\0\0\0\0\0", id="an empty abort"),
        pytest.param(b"\1\0\0\0\0\x43" + bytes(67), id="a short request"),
        pytest.param(b"\2\0\0\0\0\x45" + bytes(69), id="an accept with a byte of an item"),
        pytest.param(b"\4\0\0\0\0\5\0\0\0\1\1", id="a PDV without its control"),
        pytest.param(
            bytes.fromhex("0400 0000000b 00000001 01 00000002 0303"), id="a PDV of one byte"
        ),
        pytest.param(bytes.fromhex("0400 0000000a 00000000 00000002 0303"), id="a PDV of nothing"),
        pytest.param(b"\4\0\0\0\0\7\0\0\0\4\1\3a", id="a PDV beyond its PDU"),
        pytest.param(b"\4\0\0\0\0\6\xff\xff\xff\xfe\1\3", id="a PDV of 4 GiB"),
        pytest.param(b"\4\0\0\0\0\7\0\0\0\2\1\3a", id="a byte behind the last PDV"),
    ],
)
def test_lengths_that_lie(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_pdu(data)
    assert caught.value.reason is AbortReason.INVALID_PARAMETER_VALUE


@pytest.mark.parametrize("pdu_type", [0, 8, 0x99, 0xFF])
def test_an_unrecognized_type(pdu_type: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_pdu(bytes((pdu_type, 0, 0, 0, 0, 0)))
    assert caught.value.reason is AbortReason.UNRECOGNIZED_PDU


# As pynetdicom writes and reads them -----------------------------------------------------------


def primitive() -> A_ASSOCIATE:
    """An association with everything that pynetdicom can negotiate."""
    association = A_ASSOCIATE()
    association.application_context_name = APPLICATION_CONTEXT_NAME
    association.calling_ae_title = "CALLING"
    association.called_ae_title = "CALLED"
    context = build_context(CT, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
    context.context_id = 3
    other = build_context("1.2.840.10008.1.1")
    other.context_id = 5
    association.presentation_context_definition_list = [context, other]
    association.user_information = [*_notifications(), *_negotiations()]
    return association


def _notifications() -> list[Any]:
    length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    version = ImplementationVersionNameNotification()
    length.maximum_length_received = 16383
    uid.implementation_class_uid = "1.2.3.4"
    version.implementation_version_name = "TESTING"
    return [length, uid, version]


def _negotiations() -> list[Any]:
    window, role = AsynchronousOperationsWindowNegotiation(), SCP_SCU_RoleSelectionNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 7
    role.sop_class_uid, role.scu_role, role.scp_role = CT, False, True
    extended, common = SOPClassExtendedNegotiation(), SOPClassCommonExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\1\2\3"
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.3", "1.2.33"]
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.positive_response_requested = 2, True
    identity.primary_field, identity.secondary_field = b"user", b"pass!"
    return [window, role, extended, common, identity]


def test_a_request_of_pynetdicoms() -> None:
    pdu = theirs.A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive())
    request = decode_pdu(pdu.encode())
    assert isinstance(request, AssociateRequest)
    assert (request.calling_ae_title, request.called_ae_title) == ("CALLING", "CALLED")
    assert request.presentation_contexts == (
        ours.ProposedContext.of(3, CT, "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"),
        ours.ProposedContext.of(
            5,
            "1.2.840.10008.1.1",
            "1.2.840.10008.1.2",
            "1.2.840.10008.1.2.1",
            "1.2.840.10008.1.2.1.99",
            "1.2.840.10008.1.2.2",
        ),
    )
    assert set(request.user_items) == {
        ours.MaximumLength(16383),
        ours.ImplementationClassUID("1.2.3.4"),
        ours.ImplementationVersionName("TESTING"),
        ours.AsynchronousOperationsWindow(5, 7),
        ours.RoleSelection(CT, 0, 1),
        ours.SOPClassExtendedNegotiation(CT, b"\1\2\3"),
        ours.SOPClassCommonExtendedNegotiation(CT, "1.2.840.10008.4.2", ("1.2.3", "1.2.33")),
        ours.UserIdentity(2, 1, b"user", b"pass!"),
    }
    assert encode_pdu(request) == pdu.encode()


def test_an_accept_of_pynetdicoms() -> None:
    association = primitive()
    definitions: Any = association.presentation_context_definition_list
    for result, context in zip((0, 4), definitions, strict=True):
        context.result = result
        context.transfer_syntax = context.transfer_syntax[:1]
    association.presentation_context_definition_results_list = definitions
    pdu = theirs.A_ASSOCIATE_AC()
    pdu.from_primitive(association)
    accept = decode_pdu(pdu.encode())
    assert isinstance(accept, AssociateAccept)
    contexts = [(c.context_id, c.result, c.transfer_syntax) for c in accept.presentation_contexts]
    assert contexts == [(3, 0, "1.2.840.10008.1.2.1"), (5, 4, "1.2.840.10008.1.2")]
    assert accept.maximum_length == 16383
    assert encode_pdu(accept) == pdu.encode()


@pytest.mark.parametrize("kind", [theirs.A_ASSOCIATE_RQ, theirs.A_ASSOCIATE_AC])
def test_pynetdicom_reads_what_we_write(kind: type) -> None:
    pdu = REQUEST if kind is theirs.A_ASSOCIATE_RQ else ACCEPT
    decoded = kind()
    decoded.decode(encode_pdu(pdu))
    assert decoded.called_ae_title == "ANY-SCP"
    assert [c.context_id for c in decoded.presentation_context] == [
        c.context_id for c in pdu.presentation_contexts
    ]
    assert decoded.encode() == encode_pdu(pdu)


@pytest.mark.parametrize(
    ("kind", "pdu"),
    [
        (theirs.A_ASSOCIATE_RJ, AssociateReject(2, 3, 1)),
        (theirs.P_DATA_TF, DataTransfer((PDV(1, True, False, b"abc"), PDV(1, True, True, b"d")))),
        (theirs.A_RELEASE_RQ, ReleaseRequest()),
        (theirs.A_RELEASE_RP, ReleaseResponse()),
        (theirs.A_ABORT_RQ, Abort(2, 4)),
    ],
)
def test_pynetdicom_writes_the_others_alike(kind: type, pdu: PDU) -> None:
    decoded = kind()
    decoded.decode(encode_pdu(pdu))
    assert decoded.encode() == encode_pdu(pdu)
    assert decode_pdu(decoded.encode()) == pdu


# Properties ------------------------------------------------------------------------------------

AE_TITLES = st.binary(min_size=16, max_size=16)
REQUEST_ITEMS = st.one_of(
    st.builds(ours.ProposedContext, SMALL, CONTEXT_LISTS),
    st.builds(ours.UserInformation, st.lists(USER_ITEMS, max_size=8).map(tuple)),
    UNKNOWN,
)
ITEM_LISTS = st.lists(REQUEST_ITEMS, max_size=5).map(tuple)
ASSOCIATE = (AE_TITLES, AE_TITLES, ITEM_LISTS, st.integers(0, 65535))
RESERVED = st.binary(min_size=32, max_size=32)
PDVS = st.builds(PDV, SMALL, st.booleans(), st.booleans(), st.binary(max_size=30))
PDUS = st.one_of(
    st.builds(AssociateRequest, *ASSOCIATE, RESERVED),
    st.builds(AssociateAccept, *ASSOCIATE, RESERVED),
    st.builds(AssociateReject, SMALL, SMALL, SMALL),
    st.builds(DataTransfer, st.lists(PDVS, max_size=5).map(tuple)),
    st.builds(ReleaseRequest),
    st.builds(ReleaseResponse),
    st.builds(Abort, SMALL, SMALL),
)


@given(PDUS)
@settings(max_examples=100, deadline=None, database=None)
def test_all_pdus_round_trip(pdu: PDU) -> None:
    assert decode_pdu(encode_pdu(pdu)) == pdu


@given(st.one_of(st.binary(max_size=100), PDUS.map(encode_pdu)), st.data())
@settings(max_examples=100, deadline=None, database=None)
def test_any_bytes_are_a_pdu_or_a_protocol_error(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 3)) if data else 0):
        changed[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(SMALL)
    try:
        pdu = decode_pdu(bytes(changed))
    except ProtocolError:
        return
    again = encode_pdu(pdu)
    assert len(again) == len(changed)
    assert decode_pdu(again) == pdu


# The same proposal again -----------------------------------------------------------------------


def _decoded(request: AssociateRequest) -> AssociateRequest:
    decoded = decode_pdu(encode_pdu(request))
    assert isinstance(decoded, AssociateRequest)
    return decoded


def test_associations_with_the_same_proposal_share_it() -> None:
    first, second = _decoded(REQUEST), _decoded(replace(REQUEST, called_ae_title_field=b"A" * 16))
    assert second.items is first.items
    assert second.proposal is first.proposal
    assert second.called_ae_title == "A" * 16


def test_a_request_that_is_too_short_is_none_though_its_items_are_known() -> None:
    _decoded(replace(REQUEST, items=()))
    with pytest.raises(ProtocolError):
        decode_pdu(b"\1\0\0\0\0\x0a" + bytes(10))


def test_a_changed_request_is_encoded_as_changed() -> None:
    items = (ours.ApplicationContext("1.2.3"),)
    changed = replace(_decoded(REQUEST), items=items)
    assert changed.proposal == b""
    assert encode_pdu(changed)[74:] == items[0].encode()


def test_a_changed_answer_is_encoded_as_changed() -> None:
    answer = AssociateAccept.answer(REQUEST, ACCEPT.items, ours.encode_items(ACCEPT.items))
    assert encode_pdu(answer) == encode_pdu(ACCEPT)
    items = (ours.ApplicationContext("1.2.3"),)
    assert encode_pdu(replace(answer, items=items))[74:] == items[0].encode()
