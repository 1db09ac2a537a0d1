"""Network communication details: chapter 7 of the template."""

from __future__ import annotations

from collections.abc import Iterator

from aiodicom.conformance.acceptance import acceptance
from aiodicom.conformance.configurations import Acceptor, Requestor
from aiodicom.conformance.initiation import initiation, responses
from aiodicom.conformance.markdown import Section, table
from aiodicom.conformance.model import sequencing
from aiodicom.conformance.outcomes import aborts, echo_statuses, store_statuses
from aiodicom.conformance.wording import NONE, length, number, seconds, window
from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from aiodicom.wire.pdu import APPLICATION_CONTEXT_NAME

__all__ = ["network"]

STATUS_HEAD = ("service status", "further meaning", "status", "when")


def network(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return chapter 7."""
    yield Section("7", "Network and Media Communication Details")
    yield Section("7.1", "General", _PROTOCOLS)
    yield Section("7.1.1", "General Association Parameters", _parameters(of))
    yield Section("7.2", "Specifications")
    yield Section("7.2.1", f"{of.ae_title} Application Entity")
    yield Section("7.2.1.1", "Sequencing of Real-World Activities", sequencing(of))
    yield Section("7.2.1.2", "Association Parameters", "Those of 7.1.1.")
    acceptor = of if isinstance(of, Acceptor) else None
    requestor = of if isinstance(of, Requestor) else None
    text = initiation(requestor) if requestor else "It asks for no association."
    yield Section("7.2.1.3", "Association Initiation", text)
    text = acceptance(acceptor) if acceptor else "It accepts no association."
    yield Section("7.2.1.4", "Association Acceptance", text)
    yield from _status_codes(of)


_PROTOCOLS = """\
DICOM Upper Layer over TCP/IP (PS3.8), over IPv4 and IPv6. No DICOM web services, and no media."""


def _parameters(of: Acceptor | Requestor) -> str:
    rows = [*_common(of), *(_of_acceptor(of) if isinstance(of, Acceptor) else _of_requestor(of))]
    return table(("parameter", "value"), rows)


def _common(of: Acceptor | Requestor) -> Iterator[tuple[str, object]]:
    yield "Application Context Name", APPLICATION_CONTEXT_NAME
    yield "Implementation Class UID", IMPLEMENTATION_CLASS_UID
    yield "Implementation Version Name", IMPLEMENTATION_VERSION_NAME
    longest = of.policy.maximum_length if isinstance(of, Acceptor) else of.maximum_length
    yield "maximum length of a PDU that is received", length(longest)


def _of_acceptor(of: Acceptor) -> Iterator[tuple[str, object]]:
    limits, times = of.limits, of.timeouts
    yield "maximum number of associations, as acceptor", limits.associations
    yield "of those from one address", number(limits.associations_per_address)
    yield "of those with one calling AE title", number(limits.associations_per_title)
    yield "maximum number of associations, as initiator", 0
    asked = "1"
    if of.policy.window != 1:
        asked = f"{window(of.policy.window)}, where the requestor asks for that; else 1"
    yield "maximum number of outstanding asynchronous transactions", asked
    yield "ARTIM, from the connection to the end of the A-ASSOCIATE-RQ", seconds(times.association)
    yield "silence within a message", seconds(times.message)
    yield "silence between messages", seconds(times.network)


def _of_requestor(of: Requestor) -> Iterator[tuple[str, object]]:
    times = of.timeouts
    yield "maximum number of associations, as acceptor", 0
    yield "maximum number of associations, as initiator", of.associations
    asked = (
        "1: not negotiated" if of.window == 1 else f"{window(of.window)}, where the acceptor agrees"
    )
    yield "maximum number of outstanding asynchronous transactions", asked
    yield "time for a connection to be made", seconds(times.connection)
    yield "time for the answer to A-ASSOCIATE-RQ and A-RELEASE-RQ", seconds(times.association)
    yield "time for a response", seconds(times.message)


def _status_codes(of: Acceptor | Requestor) -> Iterator[Section]:
    yield Section("7.3", "Status Codes")
    if isinstance(of, Requestor):
        yield Section("7.3.1", "General", _LOST)
        yield Section("7.3.2", "DIMSE Services", responses(of))
        return
    text = "A-ABORT is sent, with\n\n" + table(("source", "reason", "when"), aborts(of))
    if of.stores and of.keeping.how == "files":
        text += "\n\n" + _ABORTED
    yield Section("7.3.1", "General", text)
    yield Section("7.3.2", "DIMSE Services", _COMMENTS)
    echoes = table(STATUS_HEAD, echo_statuses(of)) if of.agreements.verification else NONE
    yield Section("7.3.2.1", "Verification: C-ECHO", echoes)
    stores = table(STATUS_HEAD, store_statuses(of)) if of.stores else NONE
    yield Section("7.3.2.2", "Storage: C-STORE", stores)


_ABORTED = """\
Where an association is aborted, by either side, or its connection is lost, what was answered with
success stays stored. An object whose response was not received may have been stored; to send it
again is right."""

_COMMENTS = """\
Most statuses other than success come with an Error Comment (0000,0902), and with Offending
Elements (0000,0901) where some elements are to blame. Neither has a word about patients."""

_LOST = """\
An association that is aborted or lost, or in which a deadline has passed, is reported, and so is
every object that has no response then. Whether such an object is stored the other AE knows."""
