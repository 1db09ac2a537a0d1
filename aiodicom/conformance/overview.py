"""Cover page, overview and introduction: chapters 1 to 3 of the template."""

from __future__ import annotations

from collections.abc import Iterator

from aiodicom.conformance.configurations import Acceptor, Requestor
from aiodicom.conformance.markdown import Section, items, table
from aiodicom.conformance.wording import NONE, role
from aiodicom.wire.identity import __version__

__all__ = ["cover", "introduction", "overview"]


def cover(of: Acceptor | Requestor) -> str:
    """Return what stands on the first page."""
    return f"""\
# DICOM Conformance Statement

**aiodicom {of.command}, version {__version__}**, an AE called {of.ae_title}

Made by `python -m aiodicom.conformance {of.command}` and the options of that command, from the
configuration that they are. It is arranged as PS3.2 Annex N has it. aiodicom is not a
medical device.
"""


def overview(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return chapter 1."""
    yield Section("1", "Overview", _does(of))
    yield Section("1.1", "Content and Transfer", _content(of))
    yield Section("1.2", "DIMSE Services", _services(of))
    yield Section("1.3", "DICOM Web Services", NONE)
    yield Section("1.4", "Media Services", _media(of))
    yield Section("1.5", "Real-Time Video Services", NONE)
    yield Section("1.6", "De-identification Profiles", _deidentified(of))
    yield Section("1.7", "Specific Character Sets", "All; see 5.7.")


def _deidentified(of: Acceptor | Requestor) -> str:
    if isinstance(of, Requestor) and of.invents:
        return "None. Objects get another identity (Annex D), which is no de-identification."
    return "None: no attribute is changed."


def _does(of: Acceptor | Requestor) -> str:
    if isinstance(of, Requestor):
        if not of.stores:
            return (
                "A sender: it asks another AE whether it is there (C-ECHO). It accepts no "
                "association."
            )
        return (
            "A sender: it transfers composite SOP instances from files to another AE (C-STORE). It "
            "accepts no association."
        )
    answers = "answers C-ECHO" if of.agreements.verification else ""
    stores = {
        "files": "stores each object that it is sent as a file, byte for byte as it came",
        "nothing": "takes objects that it is sent, and drops them",
        "handler": "hands objects that it is sent to a program of its user's",
    }[of.keeping.how]
    what = " and ".join(filter(None, (answers, stores if of.stores else "")))
    return (
        f"A receiver: it accepts associations, {what or 'and offers no service'}. It asks for none."
    )


def _content(of: Acceptor | Requestor) -> str:
    if not of.stores:
        return NONE
    yes = "yes"
    scu, scp = (yes, "") if isinstance(of, Requestor) else ("", yes)
    rows = [("Storage SOP classes of [Annex F](#annex-f-sop-classes)", "", "", scu, scp)]
    if isinstance(of, Acceptor) and of.agreements.takes_others:
        rows.append(
            ("Other storage SOP classes of the standard, and private ones", "", "", "", yes)
        )
    if isinstance(of, Requestor) and of.follows_objects:
        rows.append(("Any other SOP class that a file has", "", "", yes, ""))
    head = ("content", "created", "displayed", "transferred (SCU)", "transferred (SCP)")
    return table(head, rows)


def _services(of: Acceptor | Requestor) -> str:
    def roles(is_there: bool) -> tuple[str, str]:
        user = is_there and isinstance(of, Requestor)
        return ("Yes" if user else "No", "Yes" if is_there and not user else "No")

    verifies = bool(of.agreements.verification) if isinstance(of, Acceptor) else not of.stores
    rows: list[tuple[str, str, str]] = [
        ("Verification (1.2.840.10008.1.1)", *roles(verifies)),
        ("Storage: the SOP classes of Annex F", *roles(of.stores)),
        *(
            (name, "No", "No")
            for name in ("Storage Commitment", "Workflow Management", "Query/Retrieve", "Print")
        ),
    ]
    return table(("service", "User of service (SCU)", "Provider of service (SCP)"), rows)


def _media(of: Acceptor | Requestor) -> str:
    if isinstance(of, Requestor) or not of.stores or of.keeping.how != "files":
        return "None. No Media Storage Application Profile is claimed."
    form = "of the DICOM File Format (PS3.10)" if of.keeping.has_meta else "of a dataset alone"
    return (
        f"None. Files are {form}; no DICOMDIR is written, and no Media Storage Application Profile "
        "is claimed."
    )


def introduction(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return chapter 3."""
    yield Section("3", "Introduction")
    yield Section(
        "3.1",
        "Revision History",
        table(("version", "what"), [(__version__, "made from this version's configuration")])
        + "\n\nWhat has changed between versions is in the changelog that comes with them.",
    )
    yield Section(
        "3.2",
        "Audience",
        "Those who connect systems: administrators of imaging networks, integrators, and "
        "developers. They are expected to know DICOM's terms, and how the tables here relate to "
        "the statement of the AE at the other end.",
    )
    yield Section("3.3", "Remarks", _remarks(of))
    yield Section("3.4", "Terms and Definitions", _TERMS)
    yield Section("3.5", "Abbreviations", _ABBREVIATIONS)
    yield Section(
        "3.6",
        "References",
        "The DICOM standard, NEMA PS3 (ISO 12052): https://www.dicomstandard.org/current",
    )


def _remarks(of: Acceptor | Requestor) -> str:
    is_trial = isinstance(of, Acceptor) and of.is_trial
    return items(
        (
            *((_TRIAL,) if is_trial else ()),
            (
                "A statement makes a first comparison with another AE's possible, and replaces "
                "no test of the two together."
            ),
            (
                "It describes how objects are transferred, and says nothing of what is in them, "
                "or of who may display them."
            ),
            (
                "It holds for the configuration that it was made of. Another command line is "
                f"another {role(of)}: make a statement of that."
            ),
        )
    )


_TRIAL = (
    "**Options for trying senders are in effect: it delays or aborts on purpose, which is not "
    "described here.**"
)

_TERMS = """\
The terms are those of the standard (PS3.3, PS3.4, PS3.7, PS3.8):

- *Application Entity (AE)*: an end point of DICOM's communication; its *AE title* is its name.
- *Association*: a connection between two AEs, and what they have agreed on for it.
- *Presentation context*: an abstract syntax, which is a SOP class here, and its transfer syntaxes.
- *SOP class*, *SOP instance*: a kind of object with what may be done with it; one of these objects.
- *Service class user (SCU)*, *provider (SCP)*: who asks for an operation, and who performs it.
- *Transfer syntax*: how a dataset is encoded."""

_ABBREVIATIONS = """\
ACSE: Association Control Service Element. AE: Application Entity. DIMSE: DICOM Message Service
Element. IOD: Information Object Definition. PDU: Protocol Data Unit. SCP: Service Class Provider.
SCU: Service Class User. SOP: Service-Object Pair. TLS: Transport Layer Security. UID: Unique
Identifier."""
