"""What is proposed, and what answers mean: also those of acceptors that answer badly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from aiodicom.wire.items import (
    AcceptedContext,
    AsynchronousOperationsWindow,
    Item,
    MaximumLength,
    RoleSelection,
    SOPClassExtendedNegotiation,
    UserIdentity,
)
from aiodicom.wire.negotiation import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    VERIFICATION,
)
from aiodicom.wire.pdu import AssociateRequest, decode_pdu, encode_pdu
from aiodicom.wire.proposal import (
    DEFLATED,
    VERIFICATION_CONTEXT,
    Agreed,
    Context,
    Proposal,
    contexts_for,
)
from tests.peer import CT
from tests.scripted_acceptor import MR, acceptance, accepted

JPEG, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"

CONTEXTS: tuple[Context, ...] = (
    (CT, (EXPLICIT_LITTLE,)),
    (CT, (IMPLICIT_LITTLE, EXPLICIT_BIG)),
    (MR, (JPEG,)),
)


def on_the_wire(proposal: Proposal) -> AssociateRequest:
    """What an acceptor reads of a proposal."""
    request = decode_pdu(encode_pdu(proposal.request()))
    assert isinstance(request, AssociateRequest)
    return request


def agreed(
    answers: Iterable[AcceptedContext],
    *more: Item,
    contexts: tuple[Context, ...] = CONTEXTS,
    window: int = 1,
) -> Agreed:
    proposal = Proposal(contexts, window=window)
    answer: list[Item] = list(answers)
    return Agreed.of(proposal, acceptance(proposal.request(), 0, *more, answer=lambda _: answer))


# Proposing ---------------------------------------------------------------------------------------


def test_contexts_are_proposed_in_order_with_odd_ids() -> None:
    contexts = on_the_wire(Proposal(CONTEXTS)).presentation_contexts
    assert [c.context_id for c in contexts] == [1, 3, 5]
    assert [(c.abstract_syntax, c.transfer_syntaxes) for c in contexts] == list(CONTEXTS)


def test_the_128th_context_has_id_255() -> None:
    contexts = on_the_wire(Proposal(CONTEXTS[:1] * 128)).presentation_contexts
    assert contexts[-1].context_id == 255


@pytest.mark.parametrize("count", [0, 129])
def test_as_many_contexts_do_not_fit_one_association(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} presentation contexts.*1 to 128"):
        Proposal(CONTEXTS[:1] * count)


def test_who_calls_whom_and_what_is_received() -> None:
    request = on_the_wire(Proposal(CONTEXTS, "CALLED", "CALLING", 4096))
    assert (request.called_ae_title, request.calling_ae_title) == ("CALLED", "CALLING")
    assert request.maximum_length == 4096
    assert request.implementation_class_uid.startswith("2.25.")
    assert request.implementation_version_name.startswith("AIODICOM")
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"


@pytest.mark.parametrize("window", [0, 2, 8, 65535])
def test_a_window_is_asked_for(window: int) -> None:
    item = on_the_wire(Proposal(CONTEXTS, window=window)).user_item(AsynchronousOperationsWindow)
    assert item == AsynchronousOperationsWindow(window, 1)


def test_a_window_of_one_is_the_default_and_not_asked_for() -> None:
    request = on_the_wire(Proposal(CONTEXTS, window=1))
    assert request.user_item(AsynchronousOperationsWindow) is None


def test_identity_roles_and_extended_negotiation_travel() -> None:
    items: dict[str, Any] = {
        "user_identity": UserIdentity.user("jo", "secret", response=True),
        "roles": (RoleSelection(CT, 1, 0), RoleSelection(MR, 1, 1)),
        "extended": (SOPClassExtendedNegotiation(CT, b"\2\0"),),
    }
    request = on_the_wire(Proposal(CONTEXTS, **items))
    assert request.user_item(UserIdentity) == items["user_identity"]
    assert tuple(i for i in request.user_items if isinstance(i, RoleSelection)) == items["roles"]
    assert request.user_item(SOPClassExtendedNegotiation) == items["extended"][0]


def test_user_items_are_in_the_order_of_their_types() -> None:
    request = on_the_wire(
        Proposal(
            CONTEXTS,
            window=2,
            user_identity=UserIdentity.user("jo"),
            roles=(RoleSelection(CT, 1, 0),),
            extended=(SOPClassExtendedNegotiation(CT, b""),),
        )
    )
    types = [item.TYPE for item in request.user_items]
    assert types == sorted(types) == [0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x58]
    assert isinstance(request.user_items[0], MaximumLength)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"window": -1}, "window of -1: "),
        ({"window": 65536}, "window of 65536: "),
        ({"maximum_length": -1}, "maximum length of -1"),
        ({"maximum_length": 1 << 32}, "maximum length of 4294967296"),
        ({"maximum_length": 7}, "maximum length of 7"),
        ({"contexts": ((CT + "\xe9", (EXPLICIT_LITTLE,)),)}, "is no UID"),
        ({"contexts": ((CT, (EXPLICIT_LITTLE, "")),)}, "'' is no UID"),
        ({"contexts": (("1." * 33, (EXPLICIT_LITTLE,)),)}, "is no UID"),
        ({"contexts": ((CT, ()),)}, "without a transfer syntax"),
        ({"user_identity": UserIdentity.saml(bytes(65536))}, "too long"),
        ({"extended": (SOPClassExtendedNegotiation(CT, bytes(65536)),)}, "longer than 65535 bytes"),
    ],
)
def test_what_cannot_be_proposed_is_told_at_once(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Proposal(**{"contexts": CONTEXTS, **settings})


# Answers -----------------------------------------------------------------------------------------


def test_what_is_accepted_is_what_was_proposed_with_the_choice() -> None:
    found = agreed([accepted(1, EXPLICIT_LITTLE), accepted(3, EXPLICIT_BIG), accepted(5, JPEG)])
    assert [(c.context_id, c.abstract_syntax, c.transfer_syntax, c.result) for c in
            found.contexts.values()] == [
        (1, CT, EXPLICIT_LITTLE, 0),
        (3, CT, EXPLICIT_BIG, 0),
        (5, MR, JPEG, 0),
    ]  # fmt: skip
    assert all(context.is_accepted for context in found.contexts.values())


@pytest.mark.parametrize("result", [1, 2, 3, 4, 77])
def test_a_rejected_context_keeps_its_result(result: int) -> None:
    found = agreed([accepted(1, EXPLICIT_LITTLE, result), accepted(3, IMPLICIT_LITTLE)])
    assert found.contexts[1].result == result
    assert not found.contexts[1].is_accepted
    assert found.contexts[3].is_accepted


def test_a_rejected_context_without_a_transfer_syntax() -> None:
    found = agreed([accepted(1, "", 4), accepted(3, IMPLICIT_LITTLE)])
    assert found.contexts[1].result == 4


def test_an_accepted_context_without_a_transfer_syntax_is_none() -> None:
    assert not agreed([accepted(1, "")]).contexts[1].is_accepted


def test_a_transfer_syntax_that_was_not_proposed_costs_its_context() -> None:
    found = agreed([accepted(1, JPEG_2000), accepted(3, IMPLICIT_LITTLE)])
    assert (found.contexts[1].is_accepted, found.contexts[3].is_accepted) == (False, True)


def test_the_transfer_syntax_of_another_context_was_not_proposed_for_this_one() -> None:
    assert not agreed([accepted(1, IMPLICIT_LITTLE)]).contexts[1].is_accepted


def test_contexts_that_are_not_answered_are_not_accepted() -> None:
    found = agreed([accepted(3, IMPLICIT_LITTLE)])
    assert {c.context_id: c.is_accepted for c in found.contexts.values()} == {
        1: False,
        3: True,
        5: False,
    }


@pytest.mark.parametrize("unknown", [0, 2, 7, 255])
def test_an_answer_to_what_was_not_proposed_means_nothing(unknown: int) -> None:
    found = agreed([accepted(unknown, EXPLICIT_LITTLE), accepted(1, EXPLICIT_LITTLE)])
    assert set(found.contexts) == {1, 3, 5}
    assert found.contexts[1].is_accepted


@pytest.mark.parametrize(
    ("asked", "granted", "window"),
    [
        (8, 8, 8),
        (8, 3, 3),
        (8, 1, 1),
        (8, 20, 8),  # more than asked for
        (8, 0, 8),
        (0, 5, 5),
        (0, 0, 0),
        (1, 5, 1),  # an answer to nothing
        (1, 0, 1),
    ],
)
def test_the_window_is_what_both_agree_to(asked: int, granted: int, window: int) -> None:
    item = AsynchronousOperationsWindow(granted, 1)
    assert agreed([], item, window=asked).window == window


@pytest.mark.parametrize("asked", [0, 1, 8])
def test_without_an_answer_the_window_is_one(asked: int) -> None:
    assert agreed([], window=asked).window == 1


# Choosing ----------------------------------------------------------------------------------------


def test_the_context_of_an_abstract_syntax_is_the_first_accepted_one() -> None:
    found = agreed([accepted(1, "", 3), accepted(3, EXPLICIT_BIG), accepted(5, JPEG)])
    context = found.context_of(CT)
    assert context is not None
    assert context.context_id == 3
    assert found.context_of(VERIFICATION) is None


def chosen(transfer: str, *accepted_ones: str, abstract: str = CT) -> str | None:
    """The transfer syntax in which an object of that one goes, where those are accepted."""
    contexts: tuple[Context, ...] = tuple((CT, (uid,)) for uid in accepted_ones)
    answers = [accepted(2 * index + 1, uid) for index, uid in enumerate(accepted_ones)]
    context = agreed(answers, contexts=contexts).context_for(abstract, transfer)
    return None if context is None else context.transfer_syntax


def test_an_object_goes_as_it_is_where_it_can() -> None:
    everything = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, JPEG)
    for transfer in everything:
        assert chosen(transfer, *everything) == transfer


@pytest.mark.parametrize(
    ("transfer", "accepted_ones", "expected"),
    [
        (IMPLICIT_LITTLE, (DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE), EXPLICIT_LITTLE),
        (DEFLATED, (EXPLICIT_BIG, IMPLICIT_LITTLE), IMPLICIT_LITTLE),
        (EXPLICIT_LITTLE, (DEFLATED, EXPLICIT_BIG), EXPLICIT_BIG),
        (EXPLICIT_LITTLE, (JPEG, DEFLATED), DEFLATED),
        (EXPLICIT_LITTLE, (JPEG,), None),
        (JPEG, (EXPLICIT_LITTLE, JPEG_2000), None),
        ("1.3.46.670589.33.1.4.1", (EXPLICIT_LITTLE,), None),
    ],
)
def test_an_object_is_converted_only_without_loss(
    transfer: str, accepted_ones: tuple[str, ...], expected: str | None
) -> None:
    assert chosen(transfer, *accepted_ones) == expected


def test_a_context_of_another_class_is_no_good() -> None:
    assert chosen(EXPLICIT_LITTLE, EXPLICIT_LITTLE, abstract=MR) is None


def test_a_rejected_context_is_no_good() -> None:
    found = agreed([accepted(1, EXPLICIT_LITTLE, 1), accepted(3, EXPLICIT_BIG)])
    context = found.context_for(CT, EXPLICIT_LITTLE)
    assert context is not None
    assert context.context_id == 3


def test_contexts_for_files_have_their_own_transfer_syntaxes_and_the_other_uncompressed() -> None:
    kinds = [(CT, EXPLICIT_LITTLE), (MR, JPEG), (CT, JPEG), (CT, EXPLICIT_LITTLE)]
    assert list(contexts_for(kinds)) == [
        ((CT, (EXPLICIT_LITTLE,)), (CT, (JPEG,)), (CT, (EXPLICIT_BIG, IMPLICIT_LITTLE))),
        ((MR, (JPEG,)),),
    ]


def test_contexts_for_deflated_files_have_a_way_out() -> None:
    found = list(contexts_for([(CT, DEFLATED)]))
    assert found == [
        ((CT, (DEFLATED,)), (CT, (EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE))),
    ]


def test_contexts_for_files_of_every_uncompressed_kind_need_no_other_one() -> None:
    kinds = [(CT, uid) for uid in (EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE)]
    assert list(contexts_for(kinds)) == [tuple((CT, (uid,)) for _, uid in kinds)]


def test_verification_is_proposed_as_implicit_little() -> None:
    assert VERIFICATION_CONTEXT == (VERIFICATION, (IMPLICIT_LITTLE,))
