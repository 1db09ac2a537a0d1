"""What an acceptor answers: statuses, rejections and aborts, where its configuration has them."""

from __future__ import annotations

from collections.abc import Iterator

from aiodicom.conformance.configurations import Acceptor
from aiodicom.wire.dimse import Status

__all__ = ["aborts", "echo_statuses", "rejections", "store_statuses"]

Row = tuple[object, ...]


def _status(status: Status, meaning: str, why: str) -> Row:
    return ("Failure" if status else "Success", meaning, f"{status:04X}", why)


def echo_statuses(of: Acceptor) -> Iterator[Row]:
    """Return the statuses of C-ECHO."""
    yield _status(Status.SUCCESS, "Success", "always, where the request can be understood")
    yield from _of_all_requests(of)


def _of_all_requests(of: Acceptor) -> Iterator[Row]:
    yield _status(
        Status.SOP_CLASS_NOT_SUPPORTED,
        "SOP Class not supported",
        "the presentation context was not accepted, or the SOP class of the request is another "
        "one than that of the presentation context",
    )
    yield _status(
        Status.UNRECOGNIZED_OPERATION,
        "Unrecognized operation",
        "another operation than the SOP class has; an association is not aborted for it",
    )
    if of.policy.window != 1:
        yield _status(
            Status.DUPLICATE_INVOCATION,
            "Duplicate invocation",
            "the Message ID is that of a request that has not been answered yet",
        )


def store_statuses(of: Acceptor) -> Iterator[Row]:
    """Return the statuses of C-STORE."""
    how = of.keeping.how
    yield _status(Status.SUCCESS, "Success", _when_stored(of))
    if how == "handler":
        yield ("any", "", "any", "what the program's own handler answers")
    yield from _refusals(of)
    if how == "files":
        yield _status(
            Status.DATASET_DOES_NOT_MATCH,
            "Data set does not match SOP Class",
            "the SOP class or the SOP instance UID of the dataset is not that of the request; it "
            "is not stored",
        )
    yield _status(Status.CANNOT_UNDERSTAND, "Cannot understand", _not_understood(of))
    yield _status(
        Status.INVALID_SOP_INSTANCE,
        "Invalid SOP Instance",
        "the request has no Affected SOP Instance UID",
    )
    yield _status(
        Status.MISTYPED_ARGUMENT,
        "Mistyped argument",
        "the request has no Affected SOP Class UID",
    )
    yield from _of_all_requests(of)
    yield _status(
        Status.UNABLE_TO_PROCESS,
        "Unable to process",
        "the program has failed; the object is not stored, and the cause is in its log",
    )


def _when_stored(of: Acceptor) -> str:
    if of.keeping.how == "nothing":
        return "the whole object has come; it is dropped, and nothing is stored"
    if of.keeping.how == "handler":
        return "the program's own handler says so"
    waits = ", and the command that is run for it has ended" if of.keeping.waits_for_command else ""
    if of.keeping.durability == "durable":
        return (
            "the object stands under its final name; data, name and folder are synced to the disk"
            + waits
        )
    return (
        "the object stands under its final name, and is with the operating system; it has not been "
        "synced to the disk" + waits
    )


def _refusals(of: Acceptor) -> Iterator[Row]:
    why = []
    if of.keeping.how == "files":
        why.append("there is too little room, which is said before the dataset is read")
        why.append("the operating system cannot write: the disk is full, read-only or broken")
    if of.limits.object_bytes is not None:
        why.append(f"the dataset has more than {of.limits.object_bytes} bytes")
    if of.keeping.how == "handler":
        why.append("the program's own handler meets an error of the operating system")
    if why:
        yield _status(Status.OUT_OF_RESOURCES, "Refused: out of resources", "; ".join(why))


def _not_understood(of: Acceptor) -> str:
    why = ["the request has no dataset"]
    if of.keeping.how == "files":
        why.append("its bytes cannot begin one, or end before its SOP instance UID")
        if of.keeping.sorting is not None and of.keeping.sorting.is_by_study:
            why.append("there is no Study Instance UID to sort by")
    return "; ".join(why)


# Rejections and aborts ---------------------------------------------------------------------------


def rejections(of: Acceptor) -> Iterator[Row]:
    """Return the A-ASSOCIATE-RJ there may be: result, source, reason and when."""
    user, acse, presentation = "1 service-user", "2 service-provider (ACSE)", "3 service-provider"
    for_good, for_now = "1 permanent", "2 transient"
    access = of.access
    if of.refuses:
        yield (for_good, user, "1 no reason given", "always: the configuration says so")
    if of.needs_implementation:
        why = "the requestor gives no Implementation Class UID"
        yield (for_good, user, "1 no reason given", why)
    if access.allow is not None or tuple(access.deny):
        why = "the address is not allowed, by rules that are newer than the connection"
        yield (for_good, user, "1 no reason given", why)
    if of.policy.needs_context:
        why = "none of the proposed presentation contexts is accepted"
        yield (for_good, user, "1 no reason given", why)
    why = "the application context is not 1.2.840.10008.3.1.1.1"
    yield (for_good, user, "2 application context name not supported", why)
    if access.calling_ae_titles is not None or tuple(access.bindings):
        why = "the calling AE title is not configured, or not with this address or certificate"
        yield (for_good, user, "3 calling AE title not recognized", why)
    if access.called_ae_titles is not None:
        why = "the called AE title is not configured"
        yield (for_good, user, "7 called AE title not recognized", why)
    if access.verify is not None:
        needed = ", or there is none" if access.require_identity else ""
        why = f"the user identity is not accepted{needed}"
        yield (for_good, acse, "1 no reason given", why)
    yield (for_good, acse, "2 protocol version not supported", "it is not version 1")
    if access.verify is not None or of.keeping.how == "handler":
        why = "what decides on associations has failed"
        yield (for_now, user, "1 no reason given", why)
    congested = []
    if of.stores and of.keeping.how == "files":
        congested.append("there is too little room where objects are stored")
    if access.verify is not None:
        congested.append("too many user identities wait to be verified")
    if congested:
        yield (for_now, presentation, "1 temporary congestion", "; ".join(congested))
    why = "there are as many associations as there may be, see 7.1.1"
    yield (for_now, presentation, "2 local limit exceeded", why)


def aborts(of: Acceptor) -> Iterator[Row]:
    """Return the A-ABORT there may be: source, reason and when."""
    user, provider = "0 service-user", "2 service-provider"
    why = "the receiver stops, and has finished what ran, or its grace has ended"
    yield (user, "0", why)
    why = (
        f"an A-ASSOCIATE-RQ has more than {of.limits.request_bytes} bytes, or cannot be "
        "understood; anything else comes in its place"
    )
    yield (user, "0", why)
    if of.keeping.how == "handler":
        yield (user, "0", "the program's own handler wants it")
    rate = of.limits.least_rate
    slow = f"; less than {rate:g} bytes a second of a message come" if rate else ""
    why = (
        f"a peer is silent for too long (see 7.1.1); a command set has more than "
        f"{of.limits.command_bytes} bytes{slow}"
    )
    yield (provider, "0 reason not specified", why)
    yield (provider, "1 unrecognized PDU", "a PDU of an unknown type, in an association")
    yield (provider, "2 unexpected PDU", "a PDU that PS3.8 has no place for in this state")
    why = "a PDU or a message that breaks PS3.7 or PS3.8"
    yield (provider, "6 invalid PDU parameter value", why)
