"""echoscp: what each of its options changes."""

from __future__ import annotations

import time

import pytest

from aiodicom import echoscp
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import Abort
from tests.commands.running import answers, connected, running, settings_of
from tests.peer import CT, CT_CONTEXT, command_pdu, store_command

DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
UNCOMPRESSED = (IMPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE)


async def test_an_echo_is_answered() -> None:
    async with connected(echoscp) as peer:
        await peer.associate()
        assert await peer.echo() == Status.SUCCESS
        await peer.release()


async def test_verification_is_all_that_is_accepted() -> None:
    async with running(echoscp) as server:
        made = await answers(
            server.port,
            (VERIFICATION, IMPLICIT_LITTLE),
            (CT, IMPLICIT_LITTLE),
            (VERIFICATION, JPEG),
            (VERIFICATION, DEFLATED),
        )
    assert made == [(0, IMPLICIT_LITTLE), (3, ""), (0, JPEG), (0, DEFLATED)]


async def test_an_object_is_refused() -> None:
    async with connected(echoscp) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3"), CT_CONTEXT))
        assert await peer.status() == Status.SOP_CLASS_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("option", "chosen", "takes_explicit"),
    [
        ("-x=", EXPLICIT_LITTLE, True),
        ("--prefer-uncompr", EXPLICIT_LITTLE, True),
        ("-xe", EXPLICIT_LITTLE, True),
        ("--prefer-little", EXPLICIT_LITTLE, True),
        ("-xb", EXPLICIT_BIG, True),
        ("--prefer-big", EXPLICIT_BIG, True),
        ("-xi", IMPLICIT_LITTLE, False),
        ("--implicit", IMPLICIT_LITTLE, False),
    ],
)
async def test_preferred_transfer_syntaxes(option: str, chosen: str, takes_explicit: bool) -> None:
    async with running(echoscp, option) as server:
        made = await answers(
            server.port, (VERIFICATION, *UNCOMPRESSED), (VERIFICATION, EXPLICIT_LITTLE)
        )
    assert made[0] == (0, chosen)
    assert (made[1][0] == 0) is takes_explicit


@pytest.mark.parametrize(("options", "size"), [((), 16382), (("-pdu", "0"), 0)])
async def test_the_maximum_length_is_told(options: tuple[str, ...], size: int) -> None:
    async with connected(echoscp, *options) as peer:
        assert (await peer.associate()).maximum_length == size


@pytest.mark.parametrize("option", ["-tn", "--network-timeout"])
async def test_an_idle_association_lasts_as_long_as_the_network_timeout(option: str) -> None:
    async with connected(echoscp, option, "0.2") as peer:
        await peer.associate()
        begun = time.monotonic()
        assert await peer.aborted() == Abort(2, 0)
        assert 0.1 < time.monotonic() - begun < 5


async def test_a_message_is_waited_for_as_long_as_the_dimse_timeout() -> None:
    async with connected(echoscp, "-td", "0.2") as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"\1\2")
        assert await peer.status() == Status.SOP_CLASS_NOT_SUPPORTED
        assert await peer.aborted() == Abort(2, 0)


async def test_a_request_is_waited_for_as_long_as_the_acse_timeout() -> None:
    async with connected(echoscp, "-ta", "0.2") as peer:
        assert await peer.closed()


def test_the_deadlines_where_nothing_is_said() -> None:
    settings = settings_of(echoscp)
    assert (settings["association"], settings["dimse"], settings["network"]) == (30, 30, 30)


@pytest.mark.parametrize("option", ["-aet", "--ae-title", "--aetitle"])
async def test_our_ae_title_is_told(option: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running(echoscp, "-v", option, "MINE") as server:
        assert f"Listening on port {server.port} as MINE" in caplog.messages


async def test_verbose_contexts(caplog: pytest.LogCaptureFixture) -> None:
    async with running(echoscp, "-v", "+v") as server:
        await answers(server.port, (VERIFICATION, IMPLICIT_LITTLE))
    assert "  Context ID:        1 (Accepted)" in caplog.messages


def test_what_belongs_to_storescp_is_unknown() -> None:
    with pytest.raises(UsageError, match=r"unknown option \+xe"):
        settings_of(echoscp, "+xe")
