"""The acceptor's answer: contexts, transfer syntaxes, windows, and what is echoed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import sop_class
from pynetdicom.presentation import AllStoragePresentationContexts

from aiodicom.errors import AssociationRejected
from aiodicom.wire import pdu
from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from aiodicom.wire.items import (
    AcceptedContext,
    ApplicationContext,
    AsynchronousOperationsWindow,
    Item,
    MaximumLength,
    ProposedContext,
    RoleSelection,
    SOPClassExtendedNegotiation,
    TransferSyntax,
    UserIdentity,
    UserIdentityResponse,
    UserInformation,
)
from aiodicom.wire.negotiation import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    UNCOMPRESSED,
    VERIFICATION,
    Agreement,
    Policy,
    PresentationContext,
    Role,
    choose_transfer_syntax,
    first_of,
    is_standard,
    is_storage,
    make_policy,
    negotiate,
)
from aiodicom.wire.pdu import AssociateRequest, decode_pdu, encode_pdu
from tests.peer import CT, association_request

JPEG, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
PRIVATE, OTHER = "1.2.3.4", "2.25.1"

EVERYTHING = Policy(supports=lambda uid: True)
NOTHING = Policy(supports=lambda uid: False)


def answers(
    *contexts: ProposedContext, policy: Policy = EVERYTHING
) -> Mapping[int, PresentationContext]:
    return negotiate(association_request(contexts), policy).contexts


def answer(context: ProposedContext, policy: Policy = EVERYTHING) -> PresentationContext:
    return answers(context, policy=policy)[context.context_id]


def window(invoked: int, performed: int = 1, policy: Policy = EVERYTHING) -> Agreement:
    asked = AsynchronousOperationsWindow(invoked, performed)
    return negotiate(association_request(more=(asked,)), policy)


# Transfer syntaxes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([IMPLICIT_LITTLE], IMPLICIT_LITTLE),
        ([IMPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE], EXPLICIT_LITTLE),
        ([IMPLICIT_LITTLE, EXPLICIT_BIG], EXPLICIT_BIG),
        ([JPEG, EXPLICIT_LITTLE], JPEG),
        ([J2K, JPEG], J2K),
        ([EXPLICIT_LITTLE, JPEG], EXPLICIT_LITTLE),
        ([IMPLICIT_LITTLE, JPEG], IMPLICIT_LITTLE),
        ([PRIVATE], PRIVATE),
        ([PRIVATE, OTHER], PRIVATE),
        ([PRIVATE, JPEG], JPEG),
        ([PRIVATE, IMPLICIT_LITTLE], IMPLICIT_LITTLE),
        (["", PRIVATE], PRIVATE),
        ([""], ""),
        ([], ""),
    ],
)
def test_the_transfer_syntax_of_a_receiver_that_stores_what_comes(
    proposed: list[str], chosen: str
) -> None:
    assert choose_transfer_syntax(proposed) == chosen


@given(st.lists(st.sampled_from([*UNCOMPRESSED, JPEG, J2K, PRIVATE, OTHER]), max_size=5))
@settings(max_examples=100, deadline=None, database=None)
def test_what_is_chosen_was_proposed(proposed: list[str]) -> None:
    chosen = choose_transfer_syntax(proposed)
    assert chosen in proposed or (chosen, proposed) == ("", [])


@pytest.mark.parametrize("uid", AllTransferSyntaxes)
def test_any_transfer_syntax_that_is_alone_is_chosen(uid: str) -> None:
    assert choose_transfer_syntax([uid]) == uid


@pytest.mark.parametrize(
    ("preferred", "proposed", "chosen"),
    [
        ([J2K, IMPLICIT_LITTLE], [IMPLICIT_LITTLE, J2K], J2K),
        ([J2K, IMPLICIT_LITTLE], [JPEG, IMPLICIT_LITTLE], IMPLICIT_LITTLE),
        ([IMPLICIT_LITTLE], [JPEG, EXPLICIT_LITTLE], ""),
        ([IMPLICIT_LITTLE], [], ""),
        ([], [IMPLICIT_LITTLE], ""),
    ],
)
def test_the_first_of_an_acceptor_s_own_order(
    preferred: list[str], proposed: list[str], chosen: str
) -> None:
    assert first_of(preferred, proposed) == chosen


# Abstract syntaxes -----------------------------------------------------------------------------


def test_every_storage_class_that_pynetdicom_knows_is_one() -> None:
    missing = [str(c.abstract_syntax) for c in AllStoragePresentationContexts]
    assert [uid for uid in missing if not is_storage(uid)] == []


@pytest.mark.parametrize(
    "service",
    [
        sop_class._QR_CLASSES,
        sop_class._BASIC_WORKLIST_CLASSES,
        sop_class._PRINT_MANAGEMENT_CLASSES,
        sop_class._PROCEDURE_STEP_CLASSES,
        sop_class._RELEVANT_PATIENT_QUERY_CLASSES,
        sop_class._STORAGE_COMMITMENT_CLASSES,
        sop_class._UNIFIED_PROCEDURE_STEP_CLASSES,
        sop_class._VERIFICATION_CLASSES,
    ],
)
def test_no_other_service_is_storage(service: dict[str, str]) -> None:
    assert service
    assert [name for name, uid in service.items() if is_storage(uid)] == []


def test_a_private_class_is_taken_for_storage_and_nothing_is_not() -> None:
    assert is_storage("1.2.3.4")
    assert not is_storage("")
    assert is_storage("1.2.840.10008.5.1.4.1.1.9999")  # newer than this program


def test_what_is_standard() -> None:
    assert is_standard(CT)
    assert not is_standard("1.2.840.10008")
    assert not is_standard("1.2.840.100089.1")


# Contexts --------------------------------------------------------------------------------------


def test_an_accepted_context() -> None:
    context = answer(ProposedContext.of(3, CT, IMPLICIT_LITTLE, EXPLICIT_LITTLE))
    assert context == PresentationContext(3, CT, EXPLICIT_LITTLE, 0)
    assert context.is_accepted


def test_an_abstract_syntax_that_is_not_served() -> None:
    context = answer(ProposedContext.of(3, CT, JPEG, EXPLICIT_LITTLE), NOTHING)
    assert (context.result, context.transfer_syntax) == (3, JPEG)
    assert not context.is_accepted


def test_a_transfer_syntax_that_is_not_served() -> None:
    policy = Policy(supports=lambda uid: True, choose=lambda abstract, proposed: "")
    context = answer(ProposedContext.of(3, CT, JPEG, EXPLICIT_LITTLE), policy)
    assert (context.result, context.transfer_syntax) == (4, JPEG)


def test_a_context_without_an_abstract_syntax() -> None:
    context = answer(ProposedContext(3, (TransferSyntax(IMPLICIT_LITTLE),)))
    assert (context.abstract_syntax, context.result) == ("", 3)


@pytest.mark.parametrize("transfer", [(), ("",), ("\0",)])
def test_a_context_without_a_transfer_syntax(transfer: tuple[str, ...]) -> None:
    assert answer(ProposedContext.of(3, CT, *transfer)).result == 4


def test_padded_syntaxes_are_understood() -> None:
    context = answer(
        ProposedContext.of(3, CT + "\0", EXPLICIT_LITTLE + "\0"),
        Policy(supports=lambda uid: uid == CT),
    )
    assert context == PresentationContext(3, CT, EXPLICIT_LITTLE)


@pytest.mark.parametrize("context_id", [0, 2, 128, 254])
def test_an_even_context_id_is_answered_like_any_other(context_id: int) -> None:
    assert answer(ProposedContext.of(context_id, CT, IMPLICIT_LITTLE)).is_accepted


def test_the_same_class_in_several_contexts() -> None:
    made = answers(
        ProposedContext.of(1, CT, JPEG),
        ProposedContext.of(3, CT, IMPLICIT_LITTLE),
        ProposedContext.of(5, CT, EXPLICIT_LITTLE),
    )
    assert [c.transfer_syntax for c in made.values()] == [JPEG, IMPLICIT_LITTLE, EXPLICIT_LITTLE]


def test_128_contexts_are_answered_in_order() -> None:
    ids = range(255, 0, -2)
    proposed = [ProposedContext.of(n, CT, IMPLICIT_LITTLE) for n in ids]
    accept = negotiate(association_request(proposed), EVERYTHING).accept
    assert [c.context_id for c in accept.presentation_contexts] == list(ids)


def test_a_context_id_that_is_used_twice_is_answered_once() -> None:
    proposed = [ProposedContext.of(1, VERIFICATION, IMPLICIT_LITTLE), ProposedContext.of(1, CT)]
    agreement = negotiate(association_request(proposed), EVERYTHING)
    (answered,) = agreement.accept.presentation_contexts
    assert answered.result == agreement.contexts[1].result


def test_no_contexts_are_accepted_too() -> None:
    assert negotiate(association_request([]), EVERYTHING).contexts == {}


# What policies are made of ---------------------------------------------------------------------

MR = "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.1.1"


def test_by_default_storage_and_verification_are_served_in_any_transfer_syntax() -> None:
    made = answers(
        ProposedContext.of(1, VERIFICATION, IMPLICIT_LITTLE),
        ProposedContext.of(3, CT, J2K, EXPLICIT_LITTLE),
        ProposedContext.of(5, FIND, IMPLICIT_LITTLE),
        policy=make_policy(),
    )
    assert [c.result for c in made.values()] == [0, 0, 3]
    assert made[3].transfer_syntax == J2K


@pytest.mark.parametrize(
    ("settings", "results"),
    [
        ({"stores": False}, [0, 3]),
        ({"verifies": False}, [3, 0]),
        ({"verifies": False, "contexts": {VERIFICATION: [EXPLICIT_LITTLE]}}, [3, 3]),
        ({"stores": False, "contexts": {CT: [EXPLICIT_LITTLE]}}, [3, 3]),
    ],
)
def test_a_service_that_is_not_there_is_not_accepted(
    settings: dict[str, Any], results: list[int]
) -> None:
    made = answers(
        ProposedContext.of(1, VERIFICATION, EXPLICIT_LITTLE),
        ProposedContext.of(3, CT, EXPLICIT_LITTLE),
        policy=make_policy(**settings),
    )
    assert [c.result for c in made.values()] == results


def test_an_acceptor_s_transfer_syntaxes_hold_for_every_class_and_there_are_no_others() -> None:
    made = answers(
        ProposedContext.of(1, CT, JPEG, EXPLICIT_LITTLE, IMPLICIT_LITTLE),
        ProposedContext.of(3, VERIFICATION, IMPLICIT_LITTLE),
        ProposedContext.of(5, CT, JPEG),
        policy=make_policy(transfer_syntaxes=[IMPLICIT_LITTLE, EXPLICIT_LITTLE]),
    )
    assert [c.result for c in made.values()] == [0, 0, 4]
    assert made[1].transfer_syntax == IMPLICIT_LITTLE


def test_listed_contexts_each_have_transfer_syntaxes_of_their_own() -> None:
    made = answers(
        ProposedContext.of(1, CT, EXPLICIT_LITTLE, JPEG),
        ProposedContext.of(3, MR, EXPLICIT_LITTLE, JPEG),
        ProposedContext.of(5, FIND, IMPLICIT_LITTLE),
        ProposedContext.of(7, VERIFICATION, IMPLICIT_LITTLE),
        ProposedContext.of(9, CT, J2K),
        policy=make_policy(
            contexts={CT: [JPEG, EXPLICIT_LITTLE], MR: [EXPLICIT_LITTLE], FIND: [IMPLICIT_LITTLE]}
        ),
    )
    assert [c.result for c in made.values()] == [0, 0, 0, 3, 4]
    assert [made[n].transfer_syntax for n in (1, 3)] == [JPEG, EXPLICIT_LITTLE]


def test_transfer_syntaxes_are_given_once() -> None:
    with pytest.raises(ValueError, match="give one of the two"):
        make_policy(contexts={}, transfer_syntaxes=[])


@pytest.mark.parametrize("length", [-1, 1, 1023, 1 << 32])
def test_a_maximum_length_that_is_none(length: int) -> None:
    with pytest.raises(ValueError, match="0 \\(any\\), or 1024 and more"):
        make_policy(maximum_length=length)


def test_an_association_without_a_context_may_be_rejected() -> None:
    policy = replace(make_policy(), needs_context=True)
    with pytest.raises(AssociationRejected) as caught:
        negotiate(association_request([ProposedContext.of(1, FIND, IMPLICIT_LITTLE)]), policy)
    rejected = caught.value
    assert (rejected.result, rejected.source, rejected.reason) == (1, 1, 1)
    assert negotiate(association_request(), policy).contexts


# Roles and extended negotiation ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("may_be", "asked", "result", "agreed"),
    [
        (Role.SCU, None, 0, None),
        (Role.SCU, (1, 0), 0, (1, 0)),
        (Role.SCU, (1, 1), 0, (1, 0)),
        (Role.SCU, (0, 1), 0, (0, 0)),
        (Role.SCP, None, 2, None),
        (Role.SCP, (0, 1), 0, (0, 1)),
        (Role.SCP, (1, 1), 0, (0, 1)),
        (Role.BOTH, None, 0, None),
        (Role.BOTH, (0, 1), 0, (0, 1)),
        (Role.BOTH, (1, 1), 0, (1, 1)),
    ],
)
def test_roles_are_answered_as_dcmtk_s_profiles_do(
    may_be: Role, asked: tuple[int, int] | None, result: int, agreed: tuple[int, int] | None
) -> None:
    more = () if asked is None else (RoleSelection(CT + "\0", *asked),)
    agreement = negotiate(association_request(more=more), replace(EVERYTHING, roles={CT: may_be}))
    assert agreement.contexts[3].result == result
    assert agreement.contexts[1].is_accepted
    item = agreement.accept.user_item(RoleSelection)
    assert (item and (item.scu_role, item.scp_role)) == agreed
    assert item is None or item.sop_class_uid == CT


def test_a_role_in_a_class_of_which_nothing_is_accepted_is_not_answered() -> None:
    policy = replace(NOTHING, roles={CT: Role.BOTH}, extended={CT: b"\1"})
    accept = negotiate(association_request(more=(RoleSelection(CT, 1, 1),)), policy).accept
    assert accept.user_item(RoleSelection) is None
    assert accept.user_item(SOPClassExtendedNegotiation) is None


def test_extended_negotiation_is_sent_once_for_each_class_that_is_accepted() -> None:
    policy = replace(EVERYTHING, extended={CT: b"\1\2", MR: b"\3"})
    accept = negotiate(association_request(), policy).accept
    items = [i for i in accept.user_items if isinstance(i, SOPClassExtendedNegotiation)]
    assert items == [SOPClassExtendedNegotiation(CT, b"\1\2")]


# The A-ASSOCIATE-AC ----------------------------------------------------------------------------


def test_the_answer_says_what_was_agreed() -> None:
    policy = Policy(supports=lambda uid: uid == CT, maximum_length=4321)
    proposed = [ProposedContext.of(1, VERIFICATION, JPEG), ProposedContext.of(3, CT, JPEG)]
    accept = negotiate(association_request(proposed), policy).accept
    assert accept.presentation_contexts == (
        AcceptedContext(1, 3, (TransferSyntax(JPEG),)),
        AcceptedContext(3, 0, (TransferSyntax(JPEG),)),
    )
    assert accept.application_context_name == "1.2.840.10008.3.1.1.1"
    assert accept.user_item(MaximumLength) == MaximumLength(4321)
    assert accept.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert accept.implementation_version_name == IMPLEMENTATION_VERSION_NAME
    assert decode_pdu(encode_pdu(accept)) == accept


def test_what_the_standard_wants_echoed_is_echoed() -> None:
    request = replace(
        association_request(),
        called_ae_title_field=b"  CALLED \0      ",
        calling_ae_title_field=bytes(range(200, 216)),
        reserved=bytes(range(32)),
    )
    accept = negotiate(request, EVERYTHING).accept
    assert encode_pdu(accept)[10:74] == encode_pdu(request)[10:74]


def test_the_protocol_version_is_ours() -> None:
    request = replace(association_request(), protocol_version=0xFFFF)
    assert negotiate(request, EVERYTHING).accept.protocol_version == 1


@pytest.mark.parametrize("name", ["", "1.2.3", "1.2.840.10008.3.1.1.2"])
def test_another_application_context_is_rejected(name: str) -> None:
    request = replace(association_request(), items=(ApplicationContext(name),))
    with pytest.raises(AssociationRejected) as caught:
        negotiate(request, EVERYTHING)
    rejected = caught.value
    assert (rejected.result, rejected.source, rejected.reason) == (1, 1, 2)


def test_no_application_context_is_rejected() -> None:
    with pytest.raises(AssociationRejected):
        negotiate(replace(association_request(), items=(UserInformation(()),)), EVERYTHING)


def test_a_request_without_user_information_is_answered() -> None:
    items = association_request().items[:-1]
    accept = negotiate(replace(association_request(), items=items), EVERYTHING).accept
    assert accept.user_item(MaximumLength) is not None


def test_what_was_not_asked_for_is_not_answered() -> None:
    accept = negotiate(association_request(), EVERYTHING).accept
    assert accept.user_item(AsynchronousOperationsWindow) is None


def test_roles_and_identities_are_not_answered() -> None:
    # PS3.7 D.3.3.4 and D.3.3.7: without an answer the default roles hold, and none was checked.
    asked = RoleSelection(CT, 1, 1), UserIdentity(1, 1, b"me")
    accept = negotiate(association_request(more=asked), EVERYTHING).accept
    assert accept.user_item(RoleSelection) is None
    assert accept.user_item(UserIdentityResponse) is None


# Windows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "offered", "agreed"),
    [(1, 1, 1), (8, 1, 1), (1, 8, 1), (5, 8, 5), (8, 5, 5), (0, 8, 8), (8, 0, 8), (0, 0, 0)],
)
def test_the_narrower_window_is_agreed_and_0_is_none(asked: int, offered: int, agreed: int) -> None:
    agreement = window(asked, policy=replace(EVERYTHING, window=offered))
    item = agreement.accept.user_item(AsynchronousOperationsWindow)
    assert item == AsynchronousOperationsWindow(agreed, 1)
    assert agreement.window == agreed


@pytest.mark.parametrize("performed", [0, 1, 5])
def test_we_invoke_no_operations_whatever_the_requestor_would_perform(performed: int) -> None:
    agreement = window(8, performed, replace(EVERYTHING, window=3))
    item = agreement.accept.user_item(AsynchronousOperationsWindow)
    assert item == AsynchronousOperationsWindow(3, 1)


@pytest.mark.parametrize("number", [-1, 65536])
def test_a_window_that_does_not_fit_its_item(number: int) -> None:
    with pytest.raises(ValueError, match=f"a window of {number}: 0"):
        replace(EVERYTHING, window=number)


def test_without_a_window_one_operation_is_outstanding() -> None:
    assert negotiate(association_request(), replace(EVERYTHING, window=8)).window == 1


# Properties ------------------------------------------------------------------------------------

UIDS = st.sampled_from(["", CT, VERIFICATION, PRIVATE, IMPLICIT_LITTLE, JPEG, CT + "\0"])
PROPOSED = st.builds(
    lambda context_id, abstract, transfer: ProposedContext.of(context_id, abstract, *transfer),
    st.integers(0, 255),
    UIDS,
    st.lists(UIDS, max_size=4),
)


@given(st.lists(PROPOSED, max_size=8))
@settings(max_examples=100, deadline=None, database=None)
def test_every_context_is_answered_and_nothing_else(proposed: list[ProposedContext]) -> None:
    request = association_request(proposed)
    agreement = negotiate(request, Policy(supports=is_storage))
    assert set(agreement.contexts) == {c.context_id for c in proposed}
    for context in agreement.contexts.values():
        if context.is_accepted:
            assert is_storage(context.abstract_syntax)
            assert any(
                context.transfer_syntax in c.transfer_syntaxes
                for c in proposed
                if c.context_id == context.context_id
            )
    again = decode_pdu(encode_pdu(request))
    assert isinstance(again, AssociateRequest)
    assert negotiate(again, Policy(supports=is_storage)) == agreement


# The same proposal again -----------------------------------------------------------------------


def proposed(
    *contexts: ProposedContext, calling: str = "PEER", more: tuple[Item, ...] = ()
) -> AssociateRequest:
    """A request as it comes from a peer."""
    request = association_request(contexts, calling=calling, more=more)
    decoded = decode_pdu(encode_pdu(request))
    assert isinstance(decoded, AssociateRequest)
    return decoded


def test_a_policy_is_asked_once_about_equal_proposals() -> None:
    asked: list[str] = []

    def supports(uid: str) -> bool:
        asked.append(uid)
        return True

    policy = Policy(supports)
    first, second = (
        negotiate(proposed(ProposedContext.of(1, CT, JPEG), calling=name), policy)
        for name in ("FIRST", "SECOND")
    )
    assert asked == [CT]
    assert (first.contexts, first.window) == (second.contexts, second.window)
    assert second.accept.items == first.accept.items
    assert second.accept.calling_ae_title == "SECOND"


def test_the_answer_to_the_same_proposal_is_the_same_bytes() -> None:
    request = proposed(ProposedContext.of(1, CT, JPEG), ProposedContext.of(3, FIND, JPEG))
    policy = replace(make_policy(), extended={CT: b"\1"})
    answers = [negotiate(request, policy).accept for _ in range(2)]
    assert encode_pdu(answers[0]) == encode_pdu(answers[1])
    assert decode_pdu(encode_pdu(answers[1])) == answers[1]


def test_another_policy_has_another_answer() -> None:
    request = proposed(ProposedContext.of(1, CT, JPEG))
    changed = replace(EVERYTHING, supports=lambda uid: False)
    results = [negotiate(request, p).contexts[1].result for p in (EVERYTHING, changed)]
    assert results == [0, 3]


def test_associations_that_propose_the_same_share_what_was_agreed() -> None:
    policy = make_policy()
    agreed = [negotiate(proposed(ProposedContext.of(1, CT, JPEG)), policy) for _ in range(2)]
    assert agreed[0].contexts is agreed[1].contexts


def test_what_was_rejected_is_rejected_again() -> None:
    policy = replace(make_policy(), needs_context=True)
    for _ in range(2):
        with pytest.raises(AssociationRejected):
            negotiate(proposed(ProposedContext.of(1, FIND, JPEG)), policy)


def test_a_proposal_that_was_changed_is_another_one() -> None:
    policy = make_policy()
    request = proposed(ProposedContext.of(1, CT, JPEG))
    negotiate(request, policy)
    changed = replace(request, items=proposed(ProposedContext.of(5, CT, J2K)).items)
    assert list(negotiate(changed, policy).contexts) == [5]


def test_nothing_is_remembered_of_a_passcode() -> None:
    policy = make_policy()
    identity = UserIdentity.user("me", "secret-4711")
    request = proposed(ProposedContext.of(1, CT, JPEG), more=(identity,))
    assert negotiate(request, policy).contexts[1].is_accepted
    assert request.user_item(UserIdentity) == identity
    for remembered in (pdu._PROPOSALS, policy._answers):
        assert not any(b"secret-4711" in data for data in remembered._meanings)
