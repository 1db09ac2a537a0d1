"""Implementation model, services and interoperability: chapters 4 and 5 of the template."""

from __future__ import annotations

from collections.abc import Iterator

from aiodicom.conformance.configurations import Acceptor, Requestor
from aiodicom.conformance.markdown import Section, items
from aiodicom.conformance.wording import NONE
from aiodicom.storage.sorting import PATIENT_NAME

__all__ = ["model", "sequencing", "services"]

# Chapter 4 ---------------------------------------------------------------------------------------


def model(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return chapter 4."""
    yield Section("4", "Implementation Model")
    flow = _acceptor_flow(of) if isinstance(of, Acceptor) else _requestor_flow(of)
    yield Section("4.1", "Application Entities and Data Flow", f"```\n{flow}\n```")
    defined = _acceptor_does(of) if isinstance(of, Acceptor) else _requestor_does(of)
    yield Section("4.1.1", f"Functional Definition of {of.ae_title}", defined)


def sequencing(of: Acceptor | Requestor) -> str:
    """Return the order in which things happen."""
    if not of.stores:
        return _ECHO_STEPS
    if isinstance(of, Requestor):
        return _REQUESTOR_STEPS
    return _ACCEPTOR_STEPS + (_STORED_BY_THEN if of.keeping.how == "files" else ".")


def _acceptor_flow(of: Acceptor) -> str:
    target = {"files": "files in a folder", "nothing": "(dropped)", "handler": "a program"}
    lines = []
    if of.agreements.verification:
        lines.append(("a remote AE verifies", "C-ECHO", "(answered)"))
    if of.stores:
        lines.append(("a remote AE sends objects", "C-STORE", target[of.keeping.how]))
    return "\n".join(
        f"{who:<26} --- {what:<7} --->  AE {of.ae_title}  --->  {to}" for who, what, to in lines
    )


def _requestor_flow(of: Requestor) -> str:
    if of.stores:
        return f"files  --->  AE {of.ae_title}  --- C-STORE --->  AE {of.called_ae_title}"
    return f"a user asks  --->  AE {of.ae_title}  --- C-ECHO --->  AE {of.called_ae_title}"


def _acceptor_does(of: Acceptor) -> str:
    lines = ["It listens on TCP ports, and waits for associations, several at a time."]
    if of.is_inetd:
        lines = ["It serves the one association of the connection that it was started with."]
    if of.agreements.verification:
        lines.append("Verification is answered at once.")
    if of.stores and of.keeping.how == "files":
        lines.append(
            "The dataset of each C-STORE is written to a file without being decoded or changed. "
            "The response leaves when the file is whole and has its name."
        )
    elif of.stores:
        lines.append("The dataset of each C-STORE is taken, and not stored as a file.")
    if of.workers > 1:
        lines.append(f"{of.workers} processes share the port; they are one AE.")
    return " ".join(lines)


def _requestor_does(of: Requestor) -> str:
    if not of.stores:
        return "It asks for an association, sends C-ECHO, and releases the association."
    return (
        "It reads the beginnings of the files that it is given, asks for associations in which "
        "they can be sent, and sends them from the disk, byte for byte where the other AE takes "
        "their transfer syntax. It ends when all are answered."
    )


_ACCEPTOR_STEPS = """\
1. A remote AE opens a connection and asks for an association, which is accepted or rejected.
2. It sends C-ECHO and C-STORE requests, in any order.
3. Each is answered when it is done. A C-STORE that is refused may be answered before its
   dataset has come.
4. The remote AE releases the association"""

_STORED_BY_THEN = """\
. What was answered with success is stored by then, however
   the association ends."""

_REQUESTOR_STEPS = """\
1. The headers of all files are read.
2. An association is asked for; where it is rejected, nothing is sent.
3. Objects are sent one after the other. Each is reported as stored or not stored when its response
   has come.
4. The association is released. Where 128 presentation contexts are not enough, further associations
   follow."""

_ECHO_STEPS = """\
1. An association is asked for, and accepted or rejected.
2. C-ECHO is sent and answered, as often as is wanted.
3. The requestor releases the association."""


# Chapter 5 ---------------------------------------------------------------------------------------


def services(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return chapter 5."""
    yield Section("5", "Service and Interoperability Description")
    yield Section("5.1", "Mapping of Services to Application Entities", _mapping(of))
    yield Section("5.2", "DIMSE Services")
    yield Section("5.2.1", "Verification Service", _verification(of))
    yield Section("5.2.2", "Storage Service", "" if of.stores else NONE)
    if of.stores:
        yield Section("5.2.2.1", "SCU of the Storage SOP Classes", _sends(of))
        yield from _stores(of)
    yield Section("5.3", "DICOM Web Services", NONE)
    yield Section("5.4", "Media Services", NONE)
    yield Section("5.5", "Real-Time Video Services", NONE)
    yield Section("5.6", "Cross-Service Considerations", NONE)
    yield Section("5.7", "Specific Character Sets", _character_sets(of))


def _mapping(of: Acceptor | Requestor) -> str:
    return f"All services are those of the one AE, {of.ae_title}."


def _verification(of: Acceptor | Requestor) -> str:
    if isinstance(of, Acceptor):
        return "As SCP: C-ECHO is answered." if of.agreements.verification else NONE
    return NONE if of.stores else "As SCU: C-ECHO is sent when a user asks for it."


def _sends(of: Acceptor | Requestor) -> str:
    if isinstance(of, Acceptor):
        return NONE
    return items(
        (
            "An object is sent byte for byte where its transfer syntax is accepted.",
            (
                "Else it is converted where nothing can be lost: between implicit and explicit VR "
                "little endian, explicit VR big endian, and deflated. Compressed pixels are never "
                "decompressed or compressed: such an object is not sent, and that is said."
            ),
            (
                "Objects get another identity, see Annex D."
                if of.invents
                else "SOP instance UIDs and attributes stay as they are."
            ),
            "No storage commitment is asked for.",
        )
    )


def _stores(of: Acceptor | Requestor) -> Iterator[Section]:
    if isinstance(of, Requestor):
        yield Section("5.2.2.2", "SCP of the Storage SOP Classes", NONE)
        return
    kept = {"files": _kept_as_files, "nothing": _dropped, "handler": _handed_over}[of.keeping.how]
    yield Section("5.2.2.2", "SCP of the Storage SOP Classes", items(kept(of)))


def _kept_as_files(of: Acceptor) -> Iterator[str]:
    keeping = of.keeping
    yield (
        "Level of conformance: 2 (full). All attributes are stored, private ones included; none "
        "is coerced or discarded."
    )
    yield (
        "Level of digital signature support: 3 (bit preserving). Signatures are stored with the "
        "rest, and not verified."
    )
    form = "after a preamble and File Meta Information" if keeping.has_meta else "and nothing else"
    yield f"What is stored: the dataset, byte for byte as it came, {form}."
    if keeping.durability == "durable":
        yield "Success means that the object survives a power cut: it has been synced to the disk."
    else:
        yield "Success means that the operating system has the object; a power cut may take it."
    yield "How long: until somebody else deletes the file. Nothing is deleted by the receiver."
    yield "How it is accessed: as a file. The receiver has no query or retrieve service."
    if keeping.has_own_names:
        yield "An object that is sent again is stored again, under another name."
    else:
        yield (
            "An object that is sent again replaces the first one, as a whole, once all of it has "
            "come; until then the first one stays."
        )
    if keeping.sorting is not None and keeping.sorting.is_by_study:
        yield "An object is sorted by its study; one without a Study Instance UID is refused."


def _dropped(of: Acceptor) -> Iterator[str]:
    yield "Nothing is stored: objects are taken, answered with success, and dropped."


def _handed_over(of: Acceptor) -> Iterator[str]:
    yield (
        "Objects are handed to a program of the user's. What is stored, how long, and what becomes "
        "of an object that is sent again, is that program's to state."
    )


def _character_sets(of: Acceptor | Requestor) -> str:
    if not of.stores:
        return "No text is exchanged but AE titles, which are of the default repertoire (ISO-IR 6)."
    text = (
        "All are supported, those included that are newer than this version: values are "
        "transferred as the bytes that they are, and are not interpreted. "
    )
    sorting = of.keeping.sorting if isinstance(of, Acceptor) else None
    if sorting is not None and PATIENT_NAME in sorting.tags:
        text += (
            "Folders are named after patients: a Patient's Name is read in the Specific Character "
            "Set of its dataset for that, and written in Latin letters. "
        )
    return text + "Error Comments and AE titles are of the default repertoire (ISO-IR 6)."
