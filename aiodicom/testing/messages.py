"""PDUs and messages as bytes, for peers that send whatever a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from aiodicom.wire.dimse import CommandField, CommandSet, Status, Tag, encode_response
from aiodicom.wire.items import (
    AcceptedContext,
    ApplicationContext,
    ImplementationClassUID,
    Item,
    MaximumLength,
    ProposedContext,
    TransferSyntax,
    UserInformation,
)
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
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
    encode_pdu,
)

__all__ = [
    "CONTEXTS",
    "CT",
    "CT_CONTEXT",
    "CT_IMPLICIT_CONTEXT",
    "ECHO_CONTEXT",
    "Abort",
    "Answer",
    "AssociateReject",
    "DataTransfer",
    "Item",
    "PDU",
    "PDV",
    "ReleaseRequest",
    "ReleaseResponse",
    "accept_all",
    "acceptance",
    "accepted",
    "association_request",
    "command_pdu",
    "ct_dataset",
    "dataset_pdus",
    "echo_command",
    "element",
    "fragment",
    "response_pdu",
    "status_of",
    "store_command",
    "store_pdus",
    "uid_value",
]

CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO_CONTEXT, CT_CONTEXT, CT_IMPLICIT_CONTEXT = 1, 3, 5

CONTEXTS = (
    ProposedContext.of(ECHO_CONTEXT, VERIFICATION, IMPLICIT_LITTLE),
    ProposedContext.of(CT_CONTEXT, CT, EXPLICIT_LITTLE),
    ProposedContext.of(CT_IMPLICIT_CONTEXT, CT, IMPLICIT_LITTLE),
)

Answer = Callable[[AssociateRequest], Iterable[Item]]
"""What becomes of each presentation context that is proposed."""


# Associations ------------------------------------------------------------------------------------


def association_request(
    contexts: Iterable[ProposedContext] = CONTEXTS,
    *,
    calling: str = "PEER",
    called: str = "ANY-SCP",
    maximum_length: int = 16384,
    more: Iterable[Item] = (),
) -> AssociateRequest:
    """An A-ASSOCIATE-RQ; `more` goes into its user information."""
    user = UserInformation((MaximumLength(maximum_length), ImplementationClassUID("2.25.1"), *more))
    items: tuple[Item, ...] = (ApplicationContext(APPLICATION_CONTEXT_NAME), *contexts, user)
    return AssociateRequest(ae_title_field(called), ae_title_field(calling), items)


def acceptance(
    request: AssociateRequest,
    maximum_length: int = 16384,
    *more: Item,
    answer: Answer | None = None,
) -> AssociateAccept:
    """An A-ASSOCIATE-AC; by default every context is accepted."""
    answers = (answer or accept_all)(request)
    user = UserInformation((MaximumLength(maximum_length), ImplementationClassUID("2.25.1"), *more))
    return AssociateAccept(
        request.called_ae_title_field,
        request.calling_ae_title_field,
        (ApplicationContext(APPLICATION_CONTEXT_NAME), *answers, user),
    )


def accept_all(request: AssociateRequest) -> Iterator[AcceptedContext]:
    """Accept every context with the first transfer syntax that is proposed."""
    for context in request.presentation_contexts:
        yield accepted(context.context_id, context.transfer_syntaxes[0])


def accepted(context_id: int, transfer_syntax: str = "", result: int = 0) -> AcceptedContext:
    """The answer to one context; a result that is not 0 refuses it (PS3.8 table 9-18)."""
    items = (TransferSyntax(transfer_syntax),) if transfer_syntax else ()
    return AcceptedContext(context_id, result, items)


# Messages ----------------------------------------------------------------------------------------


def store_command(
    sop_instance_uid: str, message_id: int = 1, sop_class_uid: str = CT
) -> CommandSet:
    """The command set of a C-STORE-RQ."""
    return CommandSet.build(
        CommandField.C_STORE,
        dataset=True,
        affected_sop_class_uid=sop_class_uid,
        affected_sop_instance_uid=sop_instance_uid,
        message_id=message_id,
        priority=0,
    )


def echo_command(message_id: int = 1) -> CommandSet:
    """The command set of a C-ECHO-RQ."""
    return CommandSet.build(
        CommandField.C_ECHO, affected_sop_class_uid=VERIFICATION, message_id=message_id
    )


def command_pdu(command: CommandSet, context_id: int = CT_CONTEXT) -> bytes:
    """A P-DATA-TF that holds a whole command set."""
    return encode_pdu(DataTransfer((PDV(context_id, True, True, command.encode()),)))


def dataset_pdus(data: bytes, context_id: int = CT_CONTEXT, size: int = 16000) -> bytes:
    """P-DATA-TF PDUs that hold a whole dataset."""
    starts = range(0, len(data), size) if data else (0,)
    return b"".join(
        fragment(data[start : start + size], context_id, is_last=start + size >= len(data))
        for start in starts
    )


def fragment(data: bytes, context_id: int = CT_CONTEXT, *, is_last: bool = False) -> bytes:
    """A P-DATA-TF that holds one fragment of a dataset."""
    return encode_pdu(DataTransfer((PDV(context_id, False, is_last, data),)))


def store_pdus(sop_instance_uid: str, data: bytes | None = None, message_id: int = 1) -> bytes:
    """A whole C-STORE of a CT."""
    command = command_pdu(store_command(sop_instance_uid, message_id))
    return command + dataset_pdus(ct_dataset(sop_instance_uid) if data is None else data)


def response_pdu(
    command: CommandSet, status: int = Status.SUCCESS, comment: str = "", context_id: int = 1
) -> bytes:
    """A P-DATA-TF that holds the response to a command."""
    data = encode_response(command, status, comment)
    return encode_pdu(DataTransfer((PDV(context_id, True, True, data),)))


def status_of(response: CommandSet) -> int:
    """The Status (0000,0900) of a response, which has one."""
    status = response.number(Tag.STATUS)
    if status is None:
        raise AssertionError(f"a response without a status: {response}")
    return status


# Datasets ----------------------------------------------------------------------------------------


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """A short element in Explicit VR Little Endian."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return head + vr + len(value).to_bytes(2, "little") + value


def uid_value(uid: str) -> bytes:
    """A UID as the value of an element, padded (PS3.5 9.1)."""
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)


def ct_dataset(sop_instance_uid: str, pixels: bytes = b"\1\2" * 50) -> bytes:
    """A small CT in Explicit VR Little Endian: its UIDs and, as OW, its pixels."""
    return (
        element(0x00080016, b"UI", uid_value(CT))
        + element(0x00080018, b"UI", uid_value(sop_instance_uid))
        + b"\xe0\x7f\x10\x00OW\0\0"
        + len(pixels).to_bytes(4, "little")
        + pixels
    )
