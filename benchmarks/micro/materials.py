"""What the micro-benchmarks feed: bytes that are built once, as real senders send them."""

from __future__ import annotations

import io

import pydicom
from pydicom.filereader import read_dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom.presentation import AllStoragePresentationContexts

from aiodicom.wire.dimse import CommandField, CommandSet
from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID
from aiodicom.wire.items import (
    ApplicationContext,
    ImplementationClassUID,
    ImplementationVersionName,
    Item,
    MaximumLength,
    ProposedContext,
    UserInformation,
)
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import (
    APPLICATION_CONTEXT_NAME,
    PDV,
    AssociateRequest,
    DataTransfer,
    ae_title_field,
    encode_pdu,
)
from benchmarks.messages import CT_IMAGE_STORAGE, instance_uid
from benchmarks.objects import ct_dataset

__all__ = [
    "CONTEXT_ID",
    "DATASETS",
    "ECHO_COMMAND",
    "INSTANCE_UID",
    "MANY_CONTEXTS",
    "ONE_CONTEXT",
    "STORE_COMMAND",
    "command_pdu",
    "data_pdus",
    "implicit",
    "proposal",
]

CONTEXT_ID = 1
INSTANCE_UID = instance_uid(0).decode()

ONE_CONTEXT = (ProposedContext.of(CONTEXT_ID, CT_IMAGE_STORAGE, EXPLICIT_LITTLE, IMPLICIT_LITTLE),)
"""What a modality proposes that sends one kind of image."""

MANY_CONTEXTS = tuple(
    ProposedContext.of(2 * number + 1, str(known.abstract_syntax), *AllTransferSyntaxes[:4])
    for number, known in enumerate(AllStoragePresentationContexts[:128])
)
"""As many as there can be, each with four transfer syntaxes, as pynetdicom's senders propose."""

DATASETS = {"6 kB": ct_dataset(6_000), "530 kB": ct_dataset(530_000)}
"""CT images in Explicit VR Little Endian, by what they are called in a table."""

STORE_COMMAND = CommandSet.build(
    CommandField.C_STORE,
    dataset=True,
    affected_sop_class_uid=CT_IMAGE_STORAGE,
    affected_sop_instance_uid=INSTANCE_UID,
    message_id=7,
    priority=0,
)
ECHO_COMMAND = CommandSet.build(
    CommandField.C_ECHO, affected_sop_class_uid=VERIFICATION, message_id=7
)


def proposal(contexts: tuple[ProposedContext, ...], name: str = "MICRO") -> bytes:
    """Return an A-ASSOCIATE-RQ; `name` is its implementation version name."""
    user: tuple[Item, ...] = (
        MaximumLength(1 << 14),
        ImplementationClassUID(IMPLEMENTATION_CLASS_UID),
        ImplementationVersionName(name),
    )
    application = ApplicationContext(APPLICATION_CONTEXT_NAME)
    items: tuple[Item, ...] = (application, *contexts, UserInformation(user))
    return encode_pdu(AssociateRequest(ae_title_field("ANY-SCP"), ae_title_field("LOAD"), items))


def command_pdu(command: CommandSet) -> bytes:
    """Return a P-DATA-TF that holds a whole command set."""
    return encode_pdu(DataTransfer((PDV(CONTEXT_ID, True, True, command.encode()),)))


def data_pdus(dataset: bytes, size: int = (1 << 17) - 6) -> bytes:
    """Return the P-DATA-TF PDUs of a dataset, with fragments of `size` bytes."""
    return b"".join(
        encode_pdu(
            DataTransfer(
                (
                    PDV(
                        CONTEXT_ID,
                        is_command=False,
                        is_last=start + size >= len(dataset),
                        data=dataset[start : start + size],
                    ),
                )
            )
        )
        for start in range(0, len(dataset), size)
    )


def implicit(dataset: bytes) -> bytes:
    """Return a dataset in Implicit instead of Explicit VR Little Endian."""
    read = read_dataset(io.BytesIO(dataset), is_implicit_VR=False, is_little_endian=True)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, read, implicit_vr=True, little_endian=True)
    return buffer.getvalue()
