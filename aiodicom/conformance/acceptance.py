"""How associations are accepted: section 7.2.1.4 of the template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiodicom.conformance.configurations import Acceptor
from aiodicom.conformance.markdown import items, table
from aiodicom.conformance.outcomes import rejections
from aiodicom.wire.negotiation import Role

__all__ = ["acceptance", "label"]


def acceptance(of: Acceptor) -> str:
    """Return the section's text."""
    return "\n\n".join(
        (
            "Presentation contexts that are accepted:",
            _contexts(of),
            items(_policy(of)),
            (
                "Where a presentation context is not accepted, the others are. An association is "
                "rejected with"
            ),
            table(("result", "source", "reason", "when"), rejections(of)),
            items(_closed(of)),
        )
    )


def label(lists: Sequence[tuple[str, ...]], of: tuple[str, ...]) -> str:
    """Return what a list of transfer syntaxes is called in Annex G."""
    return f"list {lists.index(of) + 1}" if len(lists) > 1 else "all"


def _contexts(of: Acceptor) -> str:
    agreed, rows = of.agreements, list[tuple[str, ...]]()
    if agreed.verification:
        syntaxes = f"{label(agreed.lists, agreed.verification)} of Annex G"
        rows.append(("Verification, 1.2.840.10008.1.1", syntaxes, "SCP", "none"))
    for syntaxes_of in dict.fromkeys(syntaxes for _, syntaxes in agreed.storage):
        count = sum(syntaxes == syntaxes_of for _, syntaxes in agreed.storage)
        classes = f"{count} SOP classes of Annex F"
        syntaxes = f"{label(agreed.lists, syntaxes_of)} of Annex G"
        extended = "see below" if of.policy.extended else "none"
        rows.append((classes, syntaxes, _roles(of), extended))
    if agreed.takes_others:
        rows.append(
            ("any other storage SOP class, private ones included", "the same", "SCP", "none")
        )
    return table(("abstract syntax", "transfer syntaxes", "role", "extended negotiation"), rows)


def _roles(of: Acceptor) -> str:
    return "SCP; see below" if of.policy.roles else "SCP"


def _policy(of: Acceptor) -> Iterator[str]:
    if of.agreements.requestor_chooses:
        yield (
            "Of the transfer syntaxes of a presentation context, the requestor's first one is "
            "taken where that is compressed or deflated, also where it is newer than this "
            "version; else explicit VR little endian, explicit VR big endian, implicit VR little "
            "endian, in this order. A private transfer syntax is taken where nothing else is "
            "proposed."
        )
    else:
        yield (
            "Of the transfer syntaxes of a presentation context the first one in the order of "
            "Annex G is taken, whatever the requestor prefers; others are not accepted."
        )
    yield "Any number of presentation contexts, also several of one SOP class."
    for uid, may_be in of.policy.roles.items():
        said = " and ".join(role.name or "" for role in (Role.SCU, Role.SCP) if role in may_be)
        yield f"{uid}: the requestor may be {said} (PS3.7 D.3.3.4)."
    for uid in of.policy.extended:
        yield f"{uid}: service class application information is sent (PS3.7 D.3.3.5)."
    if not of.policy.roles:
        yield "Roles are not negotiated: the requestor is the SCU."
    yield "The called AE title is answered as it came."


def _closed(of: Acceptor) -> Iterator[str]:
    limits = of.limits
    most = f"{limits.connections}"
    if limits.connections_per_address:
        most += f", of one address {limits.connections_per_address}"
    yield (
        f"A connection is closed without an answer where there are as many as there may be ({most})"
        + (", its address is not allowed," if _has_networks(of) else "")
        + " or where no A-ASSOCIATE-RQ has come in time."
    )


def _has_networks(of: Acceptor) -> bool:
    return of.access.allow is not None or bool(tuple(of.access.deny))
