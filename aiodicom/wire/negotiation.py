"""What is agreed on when an association is made: pure functions (PS3.8 section 7.1, PS3.7 D.3).

The acceptor's answer to a proposal, and what an accepted proposal means to both sides.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiodicom.errors import AssociationRejected
from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from aiodicom.wire.items import (
    AcceptedContext,
    ApplicationContext,
    AsynchronousOperationsWindow,
    ImplementationClassUID,
    ImplementationVersionName,
    Item,
    MaximumLength,
    ProposedContext,
    Remembered,
    RoleSelection,
    SOPClassExtendedNegotiation,
    TransferSyntax,
    UserIdentityResponse,
    UserInformation,
    encode_items,
    trim,
)
from aiodicom.wire.pdu import APPLICATION_CONTEXT_NAME, AssociateAccept, AssociateRequest

__all__ = [
    "PresentationContext",
    "Policy",
    "Role",
    "UNCOMPRESSED",
    "VERIFICATION",
    "choose_transfer_syntax",
    "first_of",
    "is_standard",
    "is_storage",
    "make_policy",
    "negotiate",
    "with_identity_response",
]

VERIFICATION = "1.2.840.10008.1.1"
"""The Verification SOP class (PS3.4 annex A)."""

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"

UNCOMPRESSED = (EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE)
"""The uncompressed transfer syntaxes, preferred ones first."""

_ACCEPTED = 0
_NO_REASON = 2
_ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
_TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """One presentation context, as both sides agreed on it (PS3.8 9.3.3.2).

    One that was not accepted stays known, because real peers use it all the same and want an
    answer.

    Parameters
    ----------
    context_id : int
        Its Presentation-context-ID, an odd number up to 255.
    abstract_syntax : str
        What it is for: the UID of a SOP class.
    transfer_syntax : str
        The UID of the transfer syntax that datasets in it are encoded in.
    result : int
        0 where it was accepted; else why not (PS3.8 table 9-18).
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    result: int = _ACCEPTED

    @property
    def is_accepted(self) -> bool:
        """Whether messages may be sent in this context."""
        return self.result == _ACCEPTED


def is_standard(uid: str) -> bool:
    """Tell whether a UID is the standard's own."""
    return uid.startswith("1.2.840.10008.")


_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."

_NOT_STORAGE = frozenset(  # of those below that root: query and management services
    _STORAGE_ROOT + tail
    for tail in "200.4 200.5 200.6 201.1.1 201.2 201.3 201.4 201.5 201.6".split()
)
_OTHER_STORAGE = frozenset(  # print, radiotherapy delivery, non-patient objects (PS3.4 B.5, GG)
    "1.2.840.10008.5.1." + tail
    for tail in ("1.27 1.29 1.30 4.34.1 4.34.7 4.34.10 4.38.1 4.39.1 4.43.1 4.44.1 4.45.1".split())
)


def is_storage(uid: str) -> bool:
    """Tell whether an abstract syntax is a storage SOP class, as far as anyone can.

    A class of the standard's is where the standard keeps its storage classes, those included
    that are newer than this program. A private one is taken for one: what else it may be asked
    to do is refused message by message.
    """
    if uid.startswith(_STORAGE_ROOT):
        return uid not in _NOT_STORAGE
    return uid in _OTHER_STORAGE if is_standard(uid) else bool(uid)


def choose_transfer_syntax(proposed: Sequence[str]) -> str:
    """Choose as a receiver that stores what comes, whatever its encoding.

    A requestor's first choice is taken where it is compressed: it has the object like that. Else
    the preferred one of the uncompressed. A private transfer syntax is the last resort.

    Parameters
    ----------
    proposed : sequence of str
        The transfer syntaxes of one proposed context, in the requestor's order.

    Returns
    -------
    str
        The chosen one, or an empty string where nothing was proposed.
    """
    standard = [uid for uid in proposed if is_standard(uid)]
    if standard and standard[0] not in UNCOMPRESSED:
        return standard[0]
    for uid in UNCOMPRESSED:
        if uid in proposed:
            return uid
    return next((uid for uid in proposed if uid), "")


Choose = Callable[[str, Sequence[str]], str]
"""Chooses for an abstract syntax one of the proposed transfer syntaxes, or an empty string."""


def first_of(preferred: Sequence[str], proposed: Sequence[str]) -> str:
    """Choose as an acceptor that has an order of its own, and takes nothing else."""
    return next((uid for uid in preferred if uid in proposed), "")


_BYTES_OF_A_CONTEXT = 768
"""Bytes that a context takes in an answer, on top of those that came."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an acceptor answers to a proposal, whoever makes it."""

    items: tuple[Item, ...]
    encoded: bytes
    contexts: Mapping[int, PresentationContext]
    window: int


class Role(enum.Flag):
    """Who may be what: the roles that a requestor has in an SOP class (PS3.7 D.3.3.4)."""

    SCU = 1
    SCP = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """What an acceptor agrees to.

    It is asked once: what it answered to a proposal is the answer to equal ones.

    Parameters
    ----------
    supports : callable
        Tells of an abstract syntax whether it is served.
    choose : callable
        Chooses one of the transfer syntaxes that are proposed for an abstract syntax, or none:
        an empty string.
    maximum_length : int
        The longest P-DATA-TF, in bytes, to be received; 0: any.
    window : int
        How many operations a requestor may have outstanding (PS3.7 D.3.3.3); 0: any. Answered
        only if asked for.
    roles : mapping of str to Role
        The roles that requestors may take, by abstract syntax. Without one the default holds: the
        requestor is the SCU, and a proposal of roles is not answered.
    extended : mapping of str to bytes
        The service class application information (PS3.7 D.3.3.5) of abstract syntaxes, sent
        where one of their contexts is accepted.
    needs_context : bool
        Whether an association without any accepted context is rejected.

    Raises
    ------
    ValueError
        Where `maximum_length` or `window` is none.
    """

    supports: Callable[[str], bool]
    choose: Choose = lambda _, proposed: choose_transfer_syntax(proposed)
    maximum_length: int = 1 << 17
    window: int = 1
    roles: Mapping[str, Role] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    needs_context: bool = False
    _answers: Remembered[_Answer] = field(
        default_factory=Remembered, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        length = self.maximum_length
        if not 0 <= length < 1 << 32 or 0 < length < 1024:
            raise ValueError(f"a maximum length of {length}: 0 (any), or 1024 and more")
        if not 0 <= self.window <= 0xFFFF:
            raise ValueError(f"a window of {self.window}: 0 (any) to 65535")


def make_policy(
    *,
    stores: bool = True,
    verifies: bool = True,
    transfer_syntaxes: Sequence[str] | None = None,
    contexts: Mapping[str, Sequence[str]] | None = None,
    maximum_length: int = 1 << 17,
    window: int = 1,
) -> Policy:
    """Make the policy of an acceptor of Storage and Verification.

    Parameters
    ----------
    stores, verifies : bool
        Whether storage SOP classes, and Verification, are served at all.
    transfer_syntaxes : sequence of str, optional
        The only ones to accept, preferred ones first.
    contexts : mapping of str to sequence of str, optional
        The only abstract syntaxes to accept, each with its transfer syntaxes, preferred ones
        first.
    maximum_length, window : int
        As in `Policy`.

    Raises
    ------
    ValueError
        Where transfer syntaxes are given twice, or a value is out of its range.
    """
    if contexts is not None and transfer_syntaxes is not None:
        raise ValueError("contexts have transfer syntaxes of their own: give one of the two")
    listed = None if contexts is None else {uid: tuple(of) for uid, of in contexts.items()}

    def supports(abstract_syntax: str) -> bool:
        if listed is not None and abstract_syntax not in listed:
            return False
        if abstract_syntax == VERIFICATION:
            return verifies
        return stores and (listed is not None or is_storage(abstract_syntax))

    def choose(abstract_syntax: str, proposed: Sequence[str]) -> str:
        if listed is not None:
            return first_of(listed[abstract_syntax], proposed)
        if transfer_syntaxes is not None:
            return first_of(transfer_syntaxes, proposed)
        return choose_transfer_syntax(proposed)

    return Policy(supports, choose, maximum_length=maximum_length, window=window)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The acceptor's answer, and what it means.

    Attributes
    ----------
    accept : AssociateAccept
        The A-ASSOCIATE-AC.
    contexts : dict of int to PresentationContext
        Every proposed context, with its result.
    window : int
        Operations that the requestor may have outstanding; 0: any.
    """

    accept: AssociateAccept
    contexts: Mapping[int, PresentationContext] = field(default_factory=dict)
    window: int = 1


def negotiate(request: AssociateRequest, policy: Policy) -> Agreement:
    """Answer a proposal.

    Raises
    ------
    AssociationRejected
        Where the application context is not DICOM's: (1, 1, 2), PS3.8 table 9-21. Where the
        policy needs a context and none is accepted: (1, 1, 1).
    """
    answer = policy._answers.get(request.proposal) if request.proposal else None
    if answer is None:
        answer = _answer(request, policy)
        if request.proposal:
            size = 2 * len(request.proposal) + len(answer.encoded)
            size += _BYTES_OF_A_CONTEXT * len(answer.contexts)
            policy._answers.add(request.proposal, answer, size)
    accept = AssociateAccept.answer(request, answer.items, answer.encoded)
    return Agreement(accept, answer.contexts, answer.window)


def with_identity_response(accept: AssociateAccept, response: bytes) -> AssociateAccept:
    """Return an answer that confirms a user identity as well (PS3.7 D.3.3.7.2)."""
    item = UserIdentityResponse(response)
    return AssociateAccept(
        accept.called_ae_title_field,
        accept.calling_ae_title_field,
        tuple(
            UserInformation((*each.items, item)) if isinstance(each, UserInformation) else each
            for each in accept.items
        ),
        reserved=accept.reserved,
    )


def _answer(request: AssociateRequest, policy: Policy) -> _Answer:
    name = request.application_context_name
    if name != APPLICATION_CONTEXT_NAME:
        raise AssociationRejected(f"application context {name[:64]!r} is not supported", 1, 1, 2)
    roles = _agreed_roles(request, policy) if policy.roles else {}
    contexts = {c.context_id: _agree(c, policy, roles) for c in request.presentation_contexts}
    if policy.needs_context and not any(c.is_accepted for c in contexts.values()):
        raise AssociationRejected("none of the presentation contexts is acceptable", 1, 1, 1)
    window = request.user_item(AsynchronousOperationsWindow)
    performed = 1 if window is None else _narrower(window.invoked, policy.window)
    user_items = _user_items(policy, performed if window else None)
    if policy.roles or policy.extended:
        user_items += _agreed_items(policy, contexts.values(), roles)
    items = (
        ApplicationContext(APPLICATION_CONTEXT_NAME),
        *(_encode_answer(context) for context in contexts.values()),
        UserInformation(user_items),
    )
    return _Answer(items, encode_items(items), contexts, performed)


def _agreed_roles(request: AssociateRequest, policy: Policy) -> dict[str, Role]:
    """Return what becomes of the roles that are proposed, by abstract syntax (PS3.7 D.3.3.4)."""
    asked = (item for item in request.user_items if isinstance(item, RoleSelection))
    by_class = {trim(item.sop_class_uid): item for item in asked}
    return {
        uid: _roles_of(by_class[uid]) & may_be
        for uid, may_be in policy.roles.items()
        if uid in by_class
    }


def _roles_of(item: RoleSelection) -> Role:
    return Role((1 if item.scu_role else 0) | (2 if item.scp_role else 0))


def _agree(
    proposed: ProposedContext, policy: Policy, roles: Mapping[str, Role]
) -> PresentationContext:
    abstract, result = proposed.abstract_syntax, _ACCEPTED
    chosen = ""
    if not abstract or not policy.supports(abstract):
        result = _ABSTRACT_SYNTAX_NOT_SUPPORTED
    else:
        chosen = policy.choose(abstract, proposed.transfer_syntaxes)
        if not chosen:
            result = _TRANSFER_SYNTAXES_NOT_SUPPORTED
        elif policy.roles.get(abstract) is Role.SCP and abstract not in roles:
            result = _NO_REASON  # the requestor stays the SCU, whom nobody serves
    if result:  # one is sent all the same, and not significant (PS3.8 9.3.3.2)
        chosen = next(iter(proposed.transfer_syntaxes), IMPLICIT_LITTLE)
    return PresentationContext(proposed.context_id, abstract, chosen, result)


def _encode_answer(context: PresentationContext) -> Item:
    items = (TransferSyntax(context.transfer_syntax),)
    return AcceptedContext(context.context_id, context.result, items)


def _narrower(asked: int, offered: int) -> int:
    """Return the smaller of two windows, of which 0 is no limit."""
    return min(asked, offered) if asked and offered else asked or offered


def _user_items(policy: Policy, performed: int | None) -> tuple[Item, ...]:
    items: list[Item] = [
        MaximumLength(policy.maximum_length),
        ImplementationClassUID(IMPLEMENTATION_CLASS_UID),
    ]
    if performed is not None:
        # We invoke nothing; 1 is the default that stands without an answer (PS3.7 D.3.3.3).
        items.append(AsynchronousOperationsWindow(performed, 1))
    items.append(ImplementationVersionName(IMPLEMENTATION_VERSION_NAME))
    return tuple(items)


def _agreed_items(
    policy: Policy, contexts: Iterable[PresentationContext], roles: Mapping[str, Role]
) -> tuple[Item, ...]:
    """Return the items about SOP classes, for those that have an accepted context."""
    accepted = {context.abstract_syntax for context in contexts if context.is_accepted}
    return (
        *(
            RoleSelection(uid, int(Role.SCU in role), int(Role.SCP in role))
            for uid, role in roles.items()
            if uid in accepted
        ),
        *(
            SOPClassExtendedNegotiation(uid, information)
            for uid, information in policy.extended.items()
            if uid in accepted
        ),
    )
