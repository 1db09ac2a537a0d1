"""storescp: what each of its options changes."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import dcmrecv, storescp
from aiodicom.cli.common import Failed
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from aiodicom.wire.items import (
    ProposedContext,
    SOPClassExtendedNegotiation,
)
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import Abort
from tests.commands.running import (
    answers,
    connected,
    running,
    settings_of,
)
from tests.peer import (
    CT,
    CT_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    element,
    fragment,
    store_command,
    uid_value,
)
from tests.processes import visible

UID, NAME = "1.2.3", "CT.1.2.3"
PRIVATE_CLASS = "1.2.3.4.5"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"

J = "1.2.840.10008.1.2.4."
PREFERRED = {
    "+xs": J + "70",
    "+xy": J + "50",
    "+xx": J + "51",
    "+xv": J + "90",
    "+xw": J + "91",
    "+xt": J + "80",
    "+xu": J + "81",
    "+xm": J + "100",
    "+xh": J + "101",
    "+xn": J + "102",
    "+xl": J + "103",
    "+x2": J + "104",
    "+x3": J + "105",
    "+xo": J + "106",
    "+x4": J + "107",
    "+x5": J + "108",
    "+xr": "1.2.840.10008.1.2.5",
    "+xd": "1.2.840.10008.1.2.1.99",
}
"""What DCMTK's options prefer before the uncompressed ones."""

UNCOMPRESSED = (IMPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE)
EVERYTHING = (*PREFERRED.values(), *UNCOMPRESSED)


# Negotiation --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "first"), PREFERRED.items())
async def test_a_preferred_transfer_syntax_comes_before_the_uncompressed(
    option: str, first: str
) -> None:
    others = [uid for uid in PREFERRED.values() if uid != first]
    async with running(storescp, option, "--ignore") as server:
        made = await answers(server.port, (CT, *EVERYTHING), (CT, *UNCOMPRESSED), (CT, *others))
    assert made == [(0, first), (0, EXPLICIT_LITTLE), (4, "")]


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ("-x=", EXPLICIT_LITTLE),
        ("+x=", EXPLICIT_LITTLE),
        ("-xe", EXPLICIT_LITTLE),
        ("-xb", EXPLICIT_BIG),
        ("+xb", EXPLICIT_BIG),
        ("-xi", IMPLICIT_LITTLE),
        ("+xi", IMPLICIT_LITTLE),
        ("--implicit", IMPLICIT_LITTLE),
        ("+xa", J + "91"),
        ("+xa +xs", J + "70"),
        ("+xs -xb", EXPLICIT_BIG),
    ],
)
async def test_a_preference_of_uncompressed_ones_or_of_all(options: str, chosen: str) -> None:
    async with running(storescp, *options.split(), "--ignore") as server:
        made = await answers(server.port, (CT, *EVERYTHING), (VERIFICATION, IMPLICIT_LITTLE))
    assert made == [(0, chosen), (0, IMPLICIT_LITTLE)]


async def test_implicit_is_then_the_only_one() -> None:
    async with running(storescp, "--ignore", "-xi") as server:
        assert await answers(server.port, (CT, EXPLICIT_LITTLE)) == [(4, "")]


async def test_without_a_preference_the_requestor_s_compressed_first_choice_is_taken() -> None:
    async with running(storescp, "--ignore") as server:
        assert await answers(server.port, (CT, *EVERYTHING)) == [(0, EVERYTHING[0])]


async def test_no_echo_is_no_verification() -> None:
    async with running(storescp, "--no-echo", "--ignore") as server:
        made = await answers(server.port, (VERIFICATION, IMPLICIT_LITTLE), (CT, IMPLICIT_LITTLE))
    assert [result for result, _ in made] == [3, 0]


@pytest.mark.parametrize("options", [(), ("-pm",), ("--promiscuous",)])
async def test_an_unknown_class_is_accepted_and_stored(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    dataset = element(0x00080016, b"UI", uid_value(PRIVATE_CLASS)) + element(
        0x00080018, b"UI", uid_value(UID)
    )
    async with connected(storescp, *options, "-od", str(tmp_path)) as peer:
        context = ProposedContext.of(CT_CONTEXT, PRIVATE_CLASS, EXPLICIT_LITTLE)
        await peer.associate(association_request([context]))
        command = store_command(UID, sop_class_uid=PRIVATE_CLASS)
        await peer.send(command_pdu(command) + fragment(dataset, is_last=True))
        assert await peer.status() == Status.SUCCESS
    assert visible(tmp_path) == ["UNKNOWN.1.2.3"]


PROFILE = f"""
[[TransferSyntaxes]]
[List]
TransferSyntax1 = {PREFERRED["+xs"]}
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Contexts]
PresentationContext1 = CTImageStorage\\List
[[ExtendedNegotiation]]
[Extended]
ExtendedNegotiation1 = CTImageStorage\\0102
[[SCPSCURoleSelection]]
[Roles]
Role1 = CTImageStorage\\SCP
[[Profiles]]
[Mine]
PresentationContexts = Contexts
ExtendedNegotiation = Extended
[Other]
PresentationContexts = Contexts
SCPSCURoleSelection = Roles
"""


async def test_a_profile_is_all_that_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text(PROFILE)
    async with running(storescp, "-xf", str(file), "Mine", "--ignore") as server:
        made = await answers(
            server.port,
            (CT, IMPLICIT_LITTLE, PREFERRED["+xs"]),
            (CT, EXPLICIT_LITTLE),
            (ENHANCED_CT, IMPLICIT_LITTLE),
            (VERIFICATION, IMPLICIT_LITTLE),
        )
        assert made == [(0, PREFERRED["+xs"]), (4, ""), (3, ""), (3, "")]
        assert await answers(server.port, (VERIFICATION, IMPLICIT_LITTLE)) == [(3, "")]


async def test_a_profile_s_extended_negotiation_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text(PROFILE)
    async with connected(storescp, "-xf", str(file), "Mine", "--ignore") as peer:
        accept = await peer.associate()
    item = accept.user_item(SOPClassExtendedNegotiation)
    assert item == SOPClassExtendedNegotiation(CT, b"\1\2")


async def test_a_profile_s_roles_hold(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text(PROFILE)
    async with running(storescp, "-xf", str(file), "other", "--ignore") as server:
        assert await answers(server.port, (CT, IMPLICIT_LITTLE)) == [(2, "")]


def test_a_profile_that_cannot_be_used_is_said_clearly(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text(PROFILE)
    settings = settings_of(storescp, "-xf", str(file), "Nobody's")
    with pytest.raises(Failed, match="no profile Nobody's in it") as caught:
        storescp.make_server(settings)
    assert caught.value.code == 1


def test_what_in_a_profile_has_no_effect_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.cfg"
    file.write_text(PROFILE.replace("TransferSyntax2", "TransferSyntax3"))
    storescp.make_server(settings_of(storescp, "-xf", str(file), "Mine"))
    assert any("TransferSyntax3 is ignored" in line for line in caplog.messages)


@pytest.mark.parametrize(
    "options",
    ["-xe", "+xb", "-xi", "+xs", "+xa", "-pm", "--no-echo"],
)
def test_a_profile_does_not_go_with_what_it_decides(options: str) -> None:
    with pytest.raises(UsageError, match="--config-file not allowed with --"):
        settings_of(storescp, "-xf", "f", "p", *options.split())


# Limits and deadlines -----------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-pdu", "-b", "--max-pdu"])
@pytest.mark.parametrize("size", [4096, 65536, 0])
async def test_the_maximum_length_is_told(option: str, size: int) -> None:
    async with connected(storescp, option, str(size), "--ignore") as peer:
        assert (await peer.associate()).maximum_length == size


@pytest.mark.parametrize("option", ["-tn", "-ts", "-to"])
async def test_an_idle_association_lasts_as_long_as_the_network_timeout(option: str) -> None:
    async with connected(storescp, option, "0.2", "--ignore") as peer:
        await peer.associate()
        begun = time.monotonic()
        assert await peer.aborted() == Abort(2, 0)
        assert 0.1 < time.monotonic() - begun < 5


@pytest.mark.parametrize("option", ["-ta", "--acse-timeout"])
async def test_a_request_is_waited_for_as_long_as_the_acse_timeout(option: str) -> None:
    async with connected(storescp, option, "0.2", "--ignore") as peer:
        begun = time.monotonic()
        assert await peer.closed()
        assert 0.1 < time.monotonic() - begun < 5


@pytest.mark.parametrize("option", ["-td", "--dimse-timeout"])
async def test_a_fragment_is_waited_for_as_long_as_the_dimse_timeout(option: str) -> None:
    async with connected(storescp, option, "0.2", "--ignore") as peer:
        await peer.associate()
        await peer.begin_store(UID, b"\1\2")
        assert await peer.aborted() == Abort(2, 0)


@pytest.mark.parametrize(
    ("option", "address"), [("-i4", "0.0.0.0"), ("-i6", "::"), ("-ba", "127.0.0.2")]
)
def test_the_address_that_is_listened_on(option: str, address: str) -> None:
    words = [option, address] if option == "-ba" else [option]
    settings = storescp.COMMAND.parse([*words, "11112"])
    assert storescp.make_server(settings)._listeners[0].host == address


async def test_as_many_associations_as_are_admitted() -> None:
    async with (
        running(storescp, "--max-associations", "1", "--ignore") as server,
        Peer(server.port) as first,
        Peer(server.port) as second,
    ):
        await first.associate()
        assert await second.rejected() == (2, 3, 2)
        await first.release()


async def test_an_object_that_is_too_long(tmp_path: Path) -> None:
    async with connected(storescp, "--max-object", "1k", "-od", str(tmp_path)) as peer:
        await peer.associate()
        assert await peer.store("1.2.3", bytes(1025)) == Status.OUT_OF_RESOURCES
        await peer.release()


@pytest.mark.parametrize("command", [storescp, dcmrecv])
@pytest.mark.parametrize("option", ["--min-free", "--min-free-inodes"])
async def test_too_little_room(command: ModuleType, option: str, tmp_path: Path) -> None:
    much = str(1 << 60)
    async with connected(command, option, much, "-od", str(tmp_path)) as peer:
        assert await peer.rejected() == (2, 3, 1)


@pytest.mark.parametrize("option", ["--fork", "--single-process"])
async def test_associations_are_served_side_by_side(option: str) -> None:
    async with (
        running(storescp, option, "--ignore") as server,
        Peer(server.port) as first,
        Peer(server.port) as second,
    ):
        await first.associate()
        await second.associate()
        assert await second.echo() == Status.SUCCESS
        assert await first.echo() == Status.SUCCESS


async def test_verbose_contexts(caplog: pytest.LogCaptureFixture) -> None:
    async with running(storescp, "-v", "+v", "--ignore") as server:
        await answers(server.port, (CT, EXPLICIT_LITTLE))
    assert "  Context ID:        1 (Accepted)" in caplog.messages


async def test_contexts_are_not_shown_without_being_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(storescp, "-v", "--ignore") as server:
        await answers(server.port, (CT, EXPLICIT_LITTLE))
    assert not any("Context ID" in line for line in caplog.messages)


async def test_our_ae_title_is_told_and_any_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    async with connected(storescp, "-v", "-aet", "MINE", "--ignore") as peer:
        await peer.associate(association_request(called="ANOTHER"))
    assert any(re.fullmatch(r"Listening on port \d+ as MINE", m) for m in caplog.messages)
