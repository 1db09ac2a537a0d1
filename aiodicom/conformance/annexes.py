"""The annexes of the template, and two more: SOP classes and transfer syntaxes with their UIDs."""

from __future__ import annotations

from collections.abc import Iterator

from aiodicom.conformance.acceptance import label
from aiodicom.conformance.configurations import Acceptor, Requestor
from aiodicom.conformance.initiation import contexts_by_class
from aiodicom.conformance.markdown import Section, table
from aiodicom.conformance.names import in_order, name_of
from aiodicom.conformance.security import details
from aiodicom.conformance.wording import NONE
from aiodicom.wire.negotiation import VERIFICATION

__all__ = ["annexes"]


def annexes(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return all of them."""
    created = "No SOP instance is created."
    yield Section("A", "IODs", _made(of, created))
    yield Section("B", "Structured Report Content Encoding", created)
    yield from details(of)
    yield Section("D", "Mapping of Attributes", _mapped(of))
    yield Section("E", "Code Set Usage", NONE)
    yield Section("F", "SOP Classes", _classes(of))
    yield Section("G", "Transfer Syntaxes", _syntaxes(of))


def _made(of: Acceptor | Requestor, created: str) -> str:
    if isinstance(of, Requestor) and of.invents:
        return "None is made anew. Objects are sent as SOP instances of their own, see Annex D."
    return f"{created} Those that are sent are as their makers made them."


def _mapped(of: Acceptor | Requestor) -> str:
    said = []
    if isinstance(of, Requestor) and of.invents:
        said.append(
            "SOP Instance UID, Series Instance UID, Study Instance UID, Study ID, Series Number, "
            "Instance Number, Patient ID and Patient's Name are replaced by new ones."
        )
    if isinstance(of, Requestor) and of.without_new_vrs:
        said.append("Elements of VR UN, UT and newer ones are sent as OB.")
    return " ".join(said) or "No attribute is mapped, coerced or filled in."


def _classes(of: Acceptor | Requestor) -> str:
    if isinstance(of, Requestor):
        uids = sorted(contexts_by_class(of.contexts), key=in_order)
        others = (
            "\n\nAny other SOP class that an object has is proposed as well."
            if of.follows_objects
            else ""
        )
        rows = [(name_of(uid), uid, "SCU") for uid in uids]
        return (table(("SOP class", "UID", "role"), rows) if rows else NONE) + others
    agreed = of.agreements
    several = len(agreed.lists) > 1
    listed = list(agreed.storage)
    if agreed.verification:
        listed.insert(0, (VERIFICATION, agreed.verification))
    head = ("SOP class", "UID", "role", *(("transfer syntaxes",) if several else ()))
    rows = [
        (name_of(uid), uid, "SCP", *((label(agreed.lists, syntaxes),) if several else ()))
        for uid, syntaxes in listed
    ]
    text = table(head, rows)
    if agreed.takes_others:
        text += (
            "\n\nSo is every other UID below 1.2.840.10008.5.1.4.1.1 that is not one of query, "
            "retrieve or management, and every UID that is not the standard's."
        )
    return text


def _syntaxes(of: Acceptor | Requestor) -> str:
    head = ("transfer syntax", "UID")
    if isinstance(of, Requestor):
        proposed = dict.fromkeys(uid for _, syntaxes in of.contexts for uid in syntaxes)
        text = table(head, [(name_of(uid), uid) for uid in proposed]) if proposed else NONE
        return text + ("\n\nAnd those of the objects." if of.follows_objects else "")
    lists = of.agreements.lists
    parts = []
    for uids in lists:
        if len(lists) > 1:
            parts.append(f"{label(lists, uids).capitalize()}:")
        parts.append(table(head, [(name_of(uid), uid) for uid in uids]))
    if of.agreements.requestor_chooses:
        parts.append(
            "And any other one, where none of these is proposed; one of the standard's also "
            "where it is proposed first."
        )
    return "\n\n".join(parts) or NONE
