"""What a statement says is agreed to is what the command's server agrees to, over the network."""

from __future__ import annotations

import asyncio
from types import ModuleType

import pytest

from aiodicom import dcmrecv, echoscp, storescp
from aiodicom.conformance.configurations import ACCEPTORS
from aiodicom.wire.negotiation import VERIFICATION
from tests.commands.running import answers, running
from tests.conformance.asking import acceptor, requestor
from tests.peer import CT

JPEG, JPEG_LS, DEFLATED = (
    "1.2.840.10008.1.2" + tail for tail in (".4.50", ".4.80", ".1.99")
)  # fmt: skip
EXPLICIT, BIG, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2"
SYNTAXES = (IMPLICIT, EXPLICIT, BIG, JPEG, JPEG_LS, DEFLATED)
PRINT, QUERY, PRIVATE = "1.2.840.10008.5.1.1.27", "1.2.840.10008.5.1.4.1.2.2.1", "1.3.999.1"
CLASSES = (VERIFICATION, CT, PRINT)

COMMAND_LINES = (
    (storescp, ()),
    (storescp, ("+xs",)),
    (storescp, ("-xi", "--no-echo")),
    (storescp, ("-xf", "storescp.cfg", "Default")),
    (storescp, ("+xa",)),
    (dcmrecv, ()),
    (dcmrecv, ("-xf", "storescp.cfg", "Default")),
    (echoscp, ()),
    (echoscp, ("-xb",)),
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """What is negotiated is the same in both loops."""
    return "asyncio", {"use_uvloop": True}


@pytest.mark.parametrize(("command", "options"), COMMAND_LINES)
async def test_what_is_accepted(command: ModuleType, options: tuple[str, ...]) -> None:
    said = (await asyncio.to_thread(acceptor, command.COMMAND.name, *options)).agreements
    by_class = dict(said.storage) | {VERIFICATION: said.verification}
    asked: list[tuple[str, tuple[str, ...]]]
    asked = [(uid, (syntax,)) for uid in CLASSES for syntax in SYNTAXES]
    asked += [(uid, SYNTAXES) for uid in CLASSES]
    others = ((PRIVATE, *SYNTAXES), (QUERY, *SYNTAXES))
    some = CT if said.storage else VERIFICATION
    both = ((some, JPEG, JPEG_LS), (some, JPEG_LS, JPEG))
    async with running(command, *options) as server:
        heard = await answers(server.port, *((uid, *syntaxes) for uid, syntaxes in asked))
        private, query, _ = await answers(server.port, *others, (some, *SYNTAXES))
        one, other, _ = await answers(server.port, *both, (some, EXPLICIT))
    for (uid, proposed), (result, chosen) in zip(asked, heard, strict=True):
        accepted = [syntax for syntax in by_class.get(uid, ()) if syntax in proposed]
        assert (not result) == bool(accepted), (uid, proposed)
        assert chosen == (accepted[0] if accepted else "")
    assert said.takes_others == (not private[0])
    assert query[0]
    assert said.requestor_chooses == (one[1] != other[1])


def test_every_receiver_has_its_policy() -> None:
    assert ACCEPTORS == ("storescp", "dcmrecv", "echoscp")


def test_a_sender_s_contexts_are_those_that_it_proposes() -> None:
    assert (
        requestor("echoscu", "h", "104", "-ppc", "3", "-xe").contexts
        == ((VERIFICATION, (EXPLICIT,)),) * 3
    )
    assert ((CT, (EXPLICIT,))) in requestor("storescu").contexts
    assert (CT, (EXPLICIT, BIG, IMPLICIT)) in requestor("storescu", "--combine").contexts
    assert requestor("storescu", "--required").contexts == ()
    assert not requestor("storescu", "-xf", "storescu.cfg", "Default").follows_objects


def test_a_sender_s_window_and_associations() -> None:
    assert requestor("storescu").window == 1
    assert requestor("storescu", "--no-halt").window == 8
    assert requestor("storescu", "--window", "3", "--jobs", "4").associations == 4
