"""What an association remembers of the requests that it has answered."""

from __future__ import annotations

import pytest

from aiodicom.acceptor.answering import MANY_KINDS, Answering
from aiodicom.requests import AssociationInfo
from aiodicom.seldom import Seldom
from aiodicom.wire.dimse import LONGEST_CLASS, Tag
from aiodicom.wire.negotiation import IMPLICIT_LITTLE, VERIFICATION, PresentationContext
from tests.peer import ECHO_CONTEXT, association_request, echo_command

CONTEXT = PresentationContext(ECHO_CONTEXT, VERIFICATION, IMPLICIT_LITTLE)


@pytest.mark.parametrize(("padding", "kinds"), [(1, MANY_KINDS), (60_000, 0)])
async def test_what_is_remembered_of_classes_is_bounded(padding: int, kinds: int) -> None:
    info = AssociationInfo(association_request(), "127.0.0.1", 0, 1)
    answering = Answering(info, {ECHO_CONTEXT: CONTEXT}, None, None, Seldom())
    for each in range(MANY_KINDS + 1):
        command = echo_command()
        command.elements[Tag.AFFECTED_SOP_CLASS_UID] += bytes(padding + each)
        assert not (await answering.answer(CONTEXT, command, None)).status
    assert len(answering._checked) == kinds
    assert all(len(sop_class) <= LONGEST_CLASS for _, _, sop_class in answering._checked)
