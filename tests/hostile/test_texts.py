"""What peers say, where people read it: one line, and nothing that steers a terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiodicom
from aiodicom import FileStorage, StoreRequest
from aiodicom.cli.outcome import Outcome
from aiodicom.storage.schemes import Layout
from aiodicom.storage.sorting import by_study_uid
from aiodicom.wire.dimse import CommandSet, Tag, encode_response
from aiodicom.wire.items import (
    ApplicationContext,
    ImplementationClassUID,
    ImplementationVersionName,
    Item,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from aiodicom.wire.items import SOPClassCommonExtendedNegotiation as Common
from aiodicom.wire.items import SOPClassExtendedNegotiation as Extended
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.pdu import PDV, AssociateRequest, DataTransfer, ae_title_field
from tests.hostile.victim import attacked
from tests.peer import (
    CONTEXTS,
    CT,
    CT_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    dataset_pdus,
    element,
    store_command,
    uid_value,
)
from tests.scripted_acceptor import Caller, accepted, accepting, connected, write_object
from tests.serving import serving

EVIL = "\nI: Association Accepted\r\x1b[2J\x1b]0;owned\x07\x00\x7f\x85\x9b31m\u00ad\\\t"
SHORT = "a\n\x1b[2J\x9b\r\t\x00\x7f\\"

USER_ITEMS = (
    ImplementationVersionName(EVIL),
    ImplementationClassUID(EVIL),
    RoleSelection(EVIL, 1, 1),
    Extended(EVIL, b"\n"),
    Common(EVIL, EVIL, (EVIL,)),
    UserIdentity(1, 0, EVIL.encode()),
)


@pytest.fixture(autouse=True)
def every_line_is_one(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """See that whatever is logged, debugging included, is a line and nothing but a line."""
    caplog.set_level(logging.DEBUG, "aiodicom")
    yield
    records = [r for r in caplog.get_records("call") if r.name.startswith("aiodicom")]
    assert len(records) > 3
    for record in records:
        assert record.getMessage().isprintable(), record
        assert record.exc_info is None


async def test_a_proposal_and_its_messages(tmp_path: Path) -> None:
    """With TLS or without: every text that a requestor can send."""
    contexts = [ProposedContext.of(1, EVIL, EVIL), ProposedContext.of(CT_CONTEXT, CT, EVIL)]
    store = FileStorage(tmp_path, layout=Layout(sorting=by_study_uid()), durability="none")
    request = association_request(contexts, calling=SHORT, called=SHORT, more=USER_ITEMS)
    async with attacked(store=store) as server, Peer(server.port) as peer:
        await peer.associate(request)
        command = store_command(EVIL)
        command.elements[Tag.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE] = EVIL.encode("latin-1")
        command.elements[Tag.ERROR_COMMENT] = EVIL.encode("latin-1")
        study = element(0x0020000D, b"UI", EVIL.encode("latin-1") + b"\0")
        instance = element(0x00080018, b"UI", command.elements[Tag.AFFECTED_SOP_INSTANCE_UID])
        data = element(0x00080016, b"UI", uid_value(CT)) + instance + study
        await peer.send(command_pdu(command) + dataset_pdus(data))
        await peer.status()
        await peer.send(command_pdu(CommandSet(command.elements | {0x0002: EVIL.encode()})))
        await peer.send(dataset_pdus(data))
        await peer.status()


async def test_a_proposal_that_is_rejected() -> None:
    async def nobody(info: aiodicom.AssociationInfo) -> None:
        raise aiodicom.AssociationRejected(f"who is {info.calling_ae_title}?")

    request = association_request(calling=SHORT, called=SHORT, more=USER_ITEMS)
    async with serving(authorize=nobody) as server, Peer(server.port) as peer:
        await peer.rejected(request)


async def test_an_application_context() -> None:
    titles = ae_title_field(SHORT), ae_title_field(SHORT)
    items = ApplicationContext(EVIL), *CONTEXTS, UserInformation(USER_ITEMS)
    async with attacked() as server, Peer(server.port) as peer:
        await peer.rejected(AssociateRequest(*titles, items))


@pytest.mark.parametrize(
    "error",
    [aiodicom.Refused, aiodicom.AbortAssociation, OSError],
    ids=lambda error: str(error.__name__),
)
async def test_what_a_handler_says_of_a_peer(error: type[Exception]) -> None:
    async def handler(request: StoreRequest) -> int:
        if request.sop_instance_uid == "1.2.3.4":
            request.dataset.discard()
            return aiodicom.Status.SUCCESS
        said = f"no {request.sop_instance_uid}"
        raise error(0xA700, said) if error is not aiodicom.AbortAssociation else error(said)

    async with attacked(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command(EVIL)) + dataset_pdus(b"1234"))
        pdu = await peer.receive()
        if isinstance(pdu, DataTransfer):
            comment = CommandSet.decode(pdu.pdvs[0].data).text(Tag.ERROR_COMMENT)
            assert comment.isprintable()


async def test_an_acceptor_s_answers(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(16384, *USER_ITEMS, answer=answer)
        received = await caller.store()
        evil = CommandSet.decode(encode_response(received.command, 0xA700))
        for tag in (Tag.ERROR_COMMENT, Tag.AFFECTED_SOP_INSTANCE_UID, Tag.AFFECTED_SOP_CLASS_UID):
            evil.elements[tag] = EVIL.encode("latin-1")
        pdv = PDV(received.context_id, True, True, evil.encode())
        await caller.send(DataTransfer((pdv,)))
        await caller.released()

    def answer(request: AssociateRequest) -> list[Item]:
        first = request.presentation_contexts[0]
        return [accepted(first.context_id, EXPLICIT_LITTLE), accepted(201, EVIL), accepted(3, EVIL)]

    path = write_object(tmp_path, "1.2.3")
    contexts = [(CT, [EXPLICIT_LITTLE]), (CT, ["1.2.3"])]
    outcome = Outcome(1)
    async with accepting(script) as acceptor, connected(acceptor, contexts=contexts) as requestor:
        outcome.add(await requestor.c_store(path))
    outcome.conclude()
    assert outcome.exit_code == 0xA7
