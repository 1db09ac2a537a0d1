"""PDUs and messages as text, for the debug log. Whatever a peer sent is escaped."""

from __future__ import annotations

import functools
import os
import re
import socket
import ssl
from collections.abc import Iterator

from aiodicom.handshakes import why_no_tls
from aiodicom.wire.dimse import ELEMENTS, NO_DATASET, CommandSet, Priority, Tag
from aiodicom.wire.items import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentity,
)
from aiodicom.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest

__all__ = [
    "accept_lines",
    "escape",
    "escape_path",
    "message_lines",
    "reject_text",
    "request_lines",
    "system_reason",
    "uid_name",
]

_WIDTH = 71

LONGEST = 128
"""Characters of a peer's text that are shown."""

_RESULTS = (
    "Accepted",
    "Rejected: user",
    "Rejected: no reason given",
    "Rejected: abstract syntax not supported",
    "Rejected: transfer syntaxes not supported",
)
_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
"""By source and reason."""

_IDENTITIES = ("", "username", "username and passcode", "Kerberos", "SAML", "JSON Web Token")


def escape(text: str, longest: int = LONGEST) -> str:
    """Return a peer's text on one line, whatever it holds, and the beginning of a long one."""
    if len(text) > longest:
        return escape(text[:longest], longest) + "..."
    return "".join(c if c.isprintable() and c != "\\" else _escaped(c) for c in text)


def escape_path(path: str) -> str:
    """Return a file's name on one line, all of it: others may have chosen it."""
    return escape(path, len(path))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def system_reason(error: OSError) -> str:
    """Return what the system or OpenSSL says, without what their libraries add to it."""
    if isinstance(error, ssl.SSLError):
        return why_no_tls(error, "the peer's certificate does not verify")
    if isinstance(error, socket.gaierror):
        return error.strerror or "the name is not known"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    # Several addresses, of which asyncio tells in one text.
    numbers = dict.fromkeys(re.findall(r"\[Errno (\d+)\]", str(error)))
    said = ", ".join(dict.fromkeys(os.strerror(int(number)) for number in numbers))
    return said or str(error) or type(error).__name__


def uid_name(uid: str) -> str:
    """Return a UID's name in PS3.6 as pydicom knows it, or the UID itself, escaped."""
    return _uid_name(uid) if len(uid) <= LONGEST else escape(uid)


@functools.lru_cache(maxsize=1024)
def _uid_name(uid: str) -> str:
    from pydicom.uid import UID  # a tenth of a second that only debugging needs

    try:
        return escape(UID(uid, validation_mode=0).name) if uid else "none"
    except ValueError:
        return escape(uid)


def _ruler(title: str) -> str:
    return f" {title} ".center(_WIDTH, "=")


_WHOSE = {"INCOMING": "Their", "OUTGOING": "Our"}


def request_lines(pdu: AssociateRequest, direction: str = "INCOMING") -> Iterator[str]:
    """Describe an A-ASSOCIATE-RQ; `direction` is INCOMING or OUTGOING."""
    yield "Request Parameters:"
    yield _ruler(f"{direction} A-ASSOCIATE-RQ PDU")
    yield from _head(pdu, _WHOSE[direction])
    yield "Presentation Contexts:"
    for context in pdu.presentation_contexts:
        yield f"  Context ID:        {context.context_id} (Proposed)"
        yield f"    Abstract Syntax: ={uid_name(context.abstract_syntax)}"
        yield "    Proposed Transfer Syntax(es):"
        for uid in context.transfer_syntaxes:
            yield f"      ={uid_name(uid)}"
    yield from _user_lines(pdu)
    yield _ruler("END A-ASSOCIATE-RQ PDU")


def accept_lines(pdu: AssociateAccept, direction: str = "OUTGOING") -> Iterator[str]:
    """Describe an A-ASSOCIATE-AC; `direction` is INCOMING or OUTGOING."""
    yield "Accept Parameters:"
    yield _ruler(f"{direction} A-ASSOCIATE-AC PDU")
    yield from _head(pdu, _WHOSE[direction])
    yield "Presentation Contexts:"
    for context in pdu.presentation_contexts:
        known = context.result < len(_RESULTS)
        result = _RESULTS[context.result] if known else f"Rejected: {context.result}"
        yield f"  Context ID:        {context.context_id} ({result})"
        if not context.result:
            yield f"    Accepted Transfer Syntax: ={uid_name(context.transfer_syntax)}"
    yield from _user_lines(pdu)
    yield _ruler("END A-ASSOCIATE-AC PDU")


def reject_text(pdu: AssociateReject) -> str:
    """Return an A-ASSOCIATE-RJ in the words of PS3.8 table 9-21."""
    kind = {1: "rejected-permanent", 2: "rejected-transient"}.get(pdu.result, str(pdu.result))
    reason = _REASONS.get((pdu.source, pdu.reason), f"reason {pdu.reason} of source {pdu.source}")
    return f"{kind}: {reason}"


def _head(pdu: AssociateRequest | AssociateAccept, whose: str) -> Iterator[str]:
    for name, value in (
        (f"{whose} Implementation Class UID:", pdu.implementation_class_uid),
        (f"{whose} Implementation Version Name:", pdu.implementation_version_name),
        ("Application Context Name:", pdu.application_context_name),
        ("Calling Application Name:", pdu.calling_ae_title),
        ("Called Application Name:", pdu.called_ae_title),
        (f"{whose} Max PDU Receive Size:", str(pdu.maximum_length)),
    ):
        yield f"{name:<36}{escape(value)}"


def _user_lines(pdu: AssociateRequest | AssociateAccept) -> Iterator[str]:
    for item in pdu.user_items:
        if isinstance(item, AsynchronousOperationsWindow):
            yield f"Asynchronous Operations Window:     {item.invoked}, {item.performed}"
        elif isinstance(item, RoleSelection):
            uid = escape(item.sop_class_uid)
            yield f"Role Selection:                     {uid} {item.scu_role}/{item.scp_role}"
        elif isinstance(item, SOPClassExtendedNegotiation):
            yield f"SOP Class Extended Negotiation:     {escape(item.sop_class_uid)}"
        elif isinstance(item, SOPClassCommonExtendedNegotiation):
            yield f"SOP Class Common Extended:          {escape(item.sop_class_uid)}"
        elif isinstance(item, UserIdentity):
            known = item.identity_type < len(_IDENTITIES)
            kind = _IDENTITIES[item.identity_type] if known else str(item.identity_type)
            yield f"User Identity:                      {kind}"


def message_lines(context_id: int, command: CommandSet, direction: str) -> Iterator[str]:
    """Describe a DIMSE message; `direction` is INCOMING or OUTGOING."""
    yield _ruler(f"{direction} DIMSE MESSAGE")
    yield _field("Message Type", command.name[::-1].replace("-", " ", 1)[::-1])
    yield _field("Presentation Context ID", str(context_id))
    for tag in sorted(command.elements):
        if tag in ELEMENTS and tag not in _SPECIAL:
            yield _field(_title(tag), _value(command, tag))
    present = command.number(Tag.COMMAND_DATA_SET_TYPE) != NO_DATASET
    yield _field("Data Set", "Present" if present else "None")
    if Tag.PRIORITY in command.elements:
        priority = command.number(Tag.PRIORITY)
        name = next((p.name.title() for p in Priority if p == priority), str(priority))
        yield _field("Priority", name)
    yield _ruler("END DIMSE MESSAGE")


_SPECIAL = {
    Tag.COMMAND_GROUP_LENGTH,
    Tag.COMMAND_FIELD,
    Tag.COMMAND_DATA_SET_TYPE,
    Tag.PRIORITY,
}


def _field(name: str, value: str) -> str:
    return f"{name:<30}: {value}"


def _title(tag: int) -> str:
    words = ELEMENTS[tag].name.split("_")
    return " ".join(w.upper() if w in ("sop", "uid", "id") else w.title() for w in words)


def _value(command: CommandSet, tag: int) -> str:
    vr = ELEMENTS[tag].vr
    if tag == Tag.STATUS:
        status = command.number(tag)
        return "none" if status is None else f"0x{status:04X}"
    if vr == "US":
        return str(command.number(tag))
    if vr == "AT":
        return ", ".join(f"({t >> 16:04X},{t & 0xFFFF:04X})" for t in command.tags(tag))
    return escape(command.uid(tag) if vr == "UI" else command.text(tag))
