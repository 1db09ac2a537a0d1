"""What a requestor proposes, and what an acceptor's answer means to it: pure functions.

PS3.8 sections 7.1 and 9.3.2, PS3.7 annex D.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from aiodicom.wire.items import (
    ApplicationContext,
    AsynchronousOperationsWindow,
    ImplementationClassUID,
    ImplementationVersionName,
    Item,
    MaximumLength,
    ProposedContext,
    RoleSelection,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserInformation,
)
from aiodicom.wire.negotiation import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    UNCOMPRESSED,
    VERIFICATION,
    PresentationContext,
)
from aiodicom.wire.pdu import (
    APPLICATION_CONTEXT_NAME,
    AssociateAccept,
    AssociateRequest,
    ae_title_field,
    encode_pdu,
)

__all__ = [
    "CONVERTIBLE",
    "DEFLATED",
    "MAXIMUM_CONTEXTS",
    "VERIFICATION_CONTEXT",
    "Agreed",
    "Context",
    "Proposal",
    "contexts_for",
    "is_uid",
]

MAXIMUM_CONTEXTS = 128
"""Presentation contexts of one association: their IDs are the odd numbers up to 255."""

DEFLATED = "1.2.840.10008.1.2.1.99"

CONVERTIBLE = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
"""Transfer syntaxes between which nothing is lost; those that peers know best come first."""

_NOT_ANSWERED = 2

_UID = re.compile(r"[0-9.]{1,64}")

Context = tuple[str, tuple[str, ...]]
"""An abstract syntax, and the transfer syntaxes proposed for it, the preferred ones first."""

VERIFICATION_CONTEXT: Context = (VERIFICATION, (IMPLICIT_LITTLE,))


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a requestor proposes.

    Parameters
    ----------
    contexts : tuple of (str, tuple of str)
        At most 128 abstract syntaxes, each with its transfer syntaxes.
    called_ae_title, calling_ae_title : str
        Who is called, and who calls.
    maximum_length : int
        The longest P-DATA-TF, in bytes, to be received; 0: any (PS3.8 D.1).
    window : int
        Operations that the requestor would like to have outstanding; 0: any. 1 is not
        negotiated (PS3.7 D.3.3.3).
    user_identity : UserIdentity or None
        Who the user is (PS3.7 D.3.3.7).
    roles, extended : tuple
        Role selection and SOP class extended negotiation items (PS3.7 D.3.3.4, D.3.3.5).

    Raises
    ------
    ValueError
        Where there are too many contexts, or none, or a value does not fit its item.
    """

    contexts: tuple[Context, ...]
    called_ae_title: str = "ANY-SCP"
    calling_ae_title: str = "AIODICOM"
    maximum_length: int = 1 << 17
    window: int = 1
    user_identity: UserIdentity | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[SOPClassExtendedNegotiation, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.contexts) <= MAXIMUM_CONTEXTS:
            count = len(self.contexts)
            raise ValueError(f"{count} presentation contexts: an association has 1 to 128")
        if not 0 <= self.maximum_length < 1 << 32 or 0 < self.maximum_length < 1024:
            length = self.maximum_length
            raise ValueError(f"a maximum length of {length}: 0 (any), or 1024 and more")
        if not 0 <= self.window <= 0xFFFF:
            raise ValueError(f"a window of {self.window}: 0 (any) to 65535")
        for abstract, transfer in self.contexts:
            _check_context(abstract, transfer)
        try:
            encode_pdu(self.request())
        except struct.error:
            raise ValueError("the user information is too long for an association") from None

    def request(self) -> AssociateRequest:
        """Return the A-ASSOCIATE-RQ."""
        contexts = (
            ProposedContext.of(2 * index + 1, abstract, *transfer)
            for index, (abstract, transfer) in enumerate(self.contexts)
        )
        items: list[Item] = [
            MaximumLength(self.maximum_length),
            ImplementationClassUID(IMPLEMENTATION_CLASS_UID),
        ]
        if self.window != 1:
            items.append(AsynchronousOperationsWindow(self.window, 1))
        items += self.roles
        items.append(ImplementationVersionName(IMPLEMENTATION_VERSION_NAME))
        items += self.extended
        if self.user_identity is not None:
            items.append(self.user_identity)
        return AssociateRequest(
            ae_title_field(self.called_ae_title),
            ae_title_field(self.calling_ae_title),
            (
                ApplicationContext(APPLICATION_CONTEXT_NAME),
                *contexts,
                UserInformation(tuple(items)),
            ),
        )


def is_uid(text: str) -> bool:
    """Tell whether a text can be proposed as a UID: 1 to 64 digits and periods (PS3.5 9.1)."""
    return _UID.fullmatch(text) is not None


def _check_context(abstract: str, transfer: tuple[str, ...]) -> None:
    if not transfer:
        raise ValueError(f"{abstract} is proposed without a transfer syntax")
    for uid in (abstract, *transfer):
        if not is_uid(uid):
            raise ValueError(f"{uid!r} is no UID: 1 to 64 digits and periods")


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed on for an association that we asked for (PS3.8 7.1).

    Attributes
    ----------
    request : AssociateRequest
        What was asked.
    accept : AssociateAccept
        The answer, as it came.
    contexts : dict of int to PresentationContext
        Every proposed context by its ID, with its result; one that was not answered has result 2.
    window : int
        Operations that may be outstanding; 0: any.
    """

    request: AssociateRequest
    accept: AssociateAccept
    contexts: dict[int, PresentationContext] = field(default_factory=dict)
    window: int = 1

    @classmethod
    def of(cls, proposal: Proposal, accept: AssociateAccept) -> Agreed:
        """Read an answer.

        What real acceptors get wrong costs the context concerned, not the association: an
        answer to what was not proposed, a transfer syntax that was not proposed.
        """
        contexts = {}
        answers = {answer.context_id: answer for answer in accept.presentation_contexts}
        for index, (abstract, proposed) in enumerate(proposal.contexts):
            context_id = 2 * index + 1
            answer = answers.get(context_id)
            result = answer.result if answer else _NOT_ANSWERED
            chosen = answer.transfer_syntax if answer else ""
            if not result and chosen not in proposed:
                result = _NOT_ANSWERED
            contexts[context_id] = PresentationContext(context_id, abstract, chosen, result)
        item = accept.user_item(AsynchronousOperationsWindow)
        window = 1
        if item is not None and proposal.window != 1:
            window = min(item.invoked or proposal.window, proposal.window or item.invoked)
        return cls(proposal.request(), accept, contexts, window)

    def context_of(self, abstract: str) -> PresentationContext | None:
        """Return the first accepted context of an abstract syntax, or None.

        Parameters
        ----------
        abstract : str
            The abstract syntax: the UID of a SOP class.
        """
        of_it = (c for c in self.contexts.values() if c.abstract_syntax == abstract)
        return next((context for context in of_it if context.is_accepted), None)

    def context_for(self, abstract: str, transfer: str) -> PresentationContext | None:
        """Return the accepted context that an object may be sent in.

        Parameters
        ----------
        abstract, transfer : str
            Its SOP class, and the transfer syntax that it has.

        Returns
        -------
        PresentationContext or None
            One of its own transfer syntax, or else one to which it can be converted without
            loss; None where there is neither.
        """
        accepted = {
            context.transfer_syntax: context
            for context in self.contexts.values()
            if context.is_accepted and context.abstract_syntax == abstract
        }
        if transfer in accepted or transfer not in CONVERTIBLE:
            return accepted.get(transfer)
        return next((accepted[uid] for uid in CONVERTIBLE if uid in accepted), None)


def contexts_for(kinds: Iterable[tuple[str, str]]) -> Iterator[tuple[Context, ...]]:
    """Return the contexts that objects need, those of one SOP class together.

    Parameters
    ----------
    kinds : iterable of (str, str)
        SOP classes and transfer syntaxes of the objects.

    Yields
    ------
    tuple
        For a SOP class: a context for each transfer syntax that its objects have, so that each
        can go as it is; and, where some can be converted, one with the other uncompressed ones.
    """
    by_class: dict[str, dict[str, None]] = {}
    for abstract, transfer in kinds:
        by_class.setdefault(abstract, {})[transfer] = None
    for abstract, own in by_class.items():
        contexts: list[Context] = [(abstract, (transfer,)) for transfer in own]
        others = tuple(uid for uid in UNCOMPRESSED if uid not in own)
        if others and any(uid in CONVERTIBLE for uid in own):
            contexts.append((abstract, others))
        yield tuple(contexts)
