"""How associations are asked for, and what responses mean: 7.2.1.3 and 7.3.2 of the template."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from aiodicom.conformance.configurations import Requestor
from aiodicom.conformance.markdown import items, table
from aiodicom.conformance.names import name_of
from aiodicom.wire.proposal import Context

__all__ = ["initiation", "responses"]


def initiation(of: Requestor) -> str:
    """Return how associations are asked for."""
    parts = []
    if of.contexts:
        parts += ["Presentation contexts that are proposed:", _contexts(of)]
    return "\n\n".join((*parts, items(_policy(of))))


def _contexts(of: Requestor) -> str:
    rows = []
    for (uid, syntaxes), same in groupby(of.contexts):
        count = len(list(same))
        times = f" ({count} times)" if count > 1 else ""
        rows.append(
            (name_of(uid) + times, uid, "<br>".join(map(name_of, syntaxes)), _role(of, uid))
        )
    return table(("abstract syntax", "UID", "transfer syntaxes", "role"), rows)


def _role(of: Requestor, uid: str) -> str:
    return {"SCP": "SCP", "BOTH": "SCU and SCP"}.get(of.roles.get(uid, "SCU"), "SCU")


def _policy(of: Requestor) -> Iterator[str]:
    if of.follows_objects:
        what = "and further ones" if of.contexts else "Those"
        yield (
            f"{what[0].upper()}{what[1:]} that the objects need come first: each SOP class with "
            "each transfer syntax that its objects have, and one presentation context with the "
            "uncompressed transfer syntaxes. At most 128 are proposed; where more are needed, "
            "further associations follow."
        )
    for uid in of.extended:
        yield f"{uid}: service class application information is proposed (PS3.7 D.3.3.5)."
    if not of.roles:
        yield "Roles are not negotiated: the requestor is the SCU."
    yield "An association that is rejected is reported, and not asked for again."


def contexts_by_class(contexts: tuple[Context, ...]) -> tuple[str, ...]:
    """Return the SOP classes of what is proposed, each once."""
    return tuple(dict.fromkeys(uid for uid, _ in contexts))


def responses(of: Requestor) -> str:
    """Return what becomes of a response."""
    if not of.stores:
        rows = [("Success", "0000", "it is reported"), ("any other", "", "it is a failure")]
        return table(("service status", "status", "behaviour"), rows)
    after = "the association is released" if of.halts else "the other objects are sent"
    rows = [
        ("Success", "0000", "the object is reported as stored"),
        (
            "Warning",
            "B000, B006, B007, Bxxx, 0001, 0107, 0116",
            "the object is reported as stored, with the warning",
        ),
        (
            "Failure",
            "A7xx, A9xx, Cxxx, and any other",
            f"the object is reported as not stored, with status and Error Comment; {after}",
        ),
        ("none", "", "the object is reported as not stored, with the cause"),
    ]
    return table(("service status", "status", "behaviour"), rows)
