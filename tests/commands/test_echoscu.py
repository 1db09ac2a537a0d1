"""echoscu: what its options change, and its exit codes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from aiodicom import echoscu
from aiodicom.tls import acceptor_context
from aiodicom.wire.dimse import Status, Tag
from aiodicom.wire.items import AcceptedContext, MaximumLength
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import Abort, AssociateReject, AssociateRequest, ReleaseRequest
from tests.certificates import Authority, identity
from tests.processes import free_port
from tests.scripted_acceptor import Acceptor, Caller, accepted
from tests.serving import serving

Capture = pytest.CaptureFixture[str]
Script = Callable[[Caller], Awaitable[object]]


async def run(port: int, *options: str, host: str = "127.0.0.1") -> int:
    """Run the command beside the test, and return its exit code."""
    return await asyncio.to_thread(echoscu.echoscu, [host, str(port), *options])


async def answered(script: Script, *options: str) -> int:
    """Run the command against a script, which must come to its end; return its exit code."""
    acceptor = Acceptor(script)
    server = await asyncio.start_server(acceptor.connected, "127.0.0.1", 0)
    async with server:
        code = await run(server.sockets[0].getsockname()[1], *options)
        await acceptor.ended()
    return code


async def echo(caller: Caller, status: int = Status.SUCCESS) -> int:
    """Answer one C-ECHO-RQ; return its Message ID."""
    context_id, command = await caller.command()
    assert command.uid(Tag.AFFECTED_SOP_CLASS_UID) == VERIFICATION
    assert context_id == 1
    await caller.respond(command, status)
    message_id = command.number(Tag.MESSAGE_ID)
    assert message_id is not None
    return message_id


async def friendly(caller: Caller) -> None:
    await caller.accept()
    await echo(caller)
    await caller.released()


class Friendly:
    """Answers one echo, and keeps the request for an association."""

    request: AssociateRequest

    async def __call__(self, caller: Caller) -> None:
        self.request = await caller.accept()
        await echo(caller)
        await caller.released()


async def proposal(*options: str) -> AssociateRequest:
    """What is proposed on a command line."""
    script = Friendly()
    assert await answered(script, *options) == 0
    return script.request


def lines(capfd: Capture) -> list[str]:
    out, err = capfd.readouterr()
    assert out == ""
    return err.splitlines()


def line(capfd: Capture) -> str:
    """The only line."""
    (only,) = lines(capfd)
    return only


# Success -----------------------------------------------------------------------------------------


async def test_an_echo_says_nothing(capfd: Capture) -> None:
    assert await answered(friendly) == 0
    assert lines(capfd) == []


async def test_quiet(capfd: Capture) -> None:
    assert await run(free_port(), "-q") == 1
    assert lines(capfd) == []


async def test_verbose_says_how_long_it_took(capfd: Capture) -> None:
    assert await answered(friendly, "-v") == 0
    said = lines(capfd)
    assert said[:3] == [
        "I: Requesting Association",
        "I: Association Accepted (Max Send PDV: 16384)",
        "I: Sending Echo Request (MsgID 1)",
    ]
    match = re.fullmatch(r"I: Received Echo Response \(Success\) after (\d+\.\d\d) ms", said[3])
    assert match
    assert 0 < float(match[1]) < 10_000
    assert said[4:] == ["I: Releasing Association"]


async def test_repeat(capfd: Capture) -> None:
    numbers: list[int] = []

    async def script(caller: Caller) -> None:
        await caller.accept()
        numbers.extend([await echo(caller) for _ in range(3)])
        await caller.released()

    assert await answered(script, "--repeat", "3", "-v") == 0
    assert numbers == [1, 2, 3]
    said = lines(capfd)
    for number in numbers:
        assert f"I: Sending Echo Request (MsgID {number})" in said
    match = re.fullmatch(
        r"I: 3 echoes, each after (\S+) to (\S+) ms, on average (\S+) ms", said[-2]
    )
    assert match
    least, most, mean = map(float, match.groups())
    assert 0 < least <= mean <= most


async def test_abort(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await echo(caller)
        await caller.aborted()

    assert await answered(script, "--abort", "-v") == 0
    assert lines(capfd)[-1] == "I: Aborting Association"


# What is proposed --------------------------------------------------------------------------------


def contexts_of(request: AssociateRequest) -> list[tuple[str, tuple[str, ...]]]:
    return [(c.abstract_syntax, c.transfer_syntaxes) for c in request.presentation_contexts]


@pytest.mark.parametrize(
    ("options", "transfer_syntaxes"),
    [
        ("", (IMPLICIT_LITTLE,)),
        ("-xe", (EXPLICIT_LITTLE,)),
        ("--request-little", (EXPLICIT_LITTLE,)),
        ("-xb", (EXPLICIT_BIG,)),
        ("--request-big", (EXPLICIT_BIG,)),
        ("-xe -xi", (IMPLICIT_LITTLE,)),
        ("-xe --request-implicit", (IMPLICIT_LITTLE,)),
        ("-pts 1", (IMPLICIT_LITTLE,)),
        ("-xe --propose-ts 3", (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)),
    ],
)
async def test_transfer_syntaxes(options: str, transfer_syntaxes: tuple[str, ...]) -> None:
    request = await proposal(*options.split())
    assert contexts_of(request) == [(VERIFICATION, transfer_syntaxes)]


async def test_all_transfer_syntaxes_in_all_contexts() -> None:
    request = await proposal("-pts", "53", "-ppc", "128")
    contexts = contexts_of(request)
    assert len(contexts) == 128
    assert {c.context_id for c in request.presentation_contexts} == set(range(1, 256, 2))
    assert {len(set(transfer_syntaxes)) for _, transfer_syntaxes in contexts} == {53}


async def test_several_contexts_of_which_one_is_enough() -> None:
    def answer(request: AssociateRequest) -> Iterator[AcceptedContext]:
        for number, context in enumerate(request.presentation_contexts):
            yield accepted(context.context_id, IMPLICIT_LITTLE, result=0 if number == 2 else 4)

    async def script(caller: Caller) -> None:
        await caller.accept(answer=answer)
        context_id, command = await caller.command()
        assert context_id == 5
        await caller.respond(command)
        await caller.released()

    assert await answered(script, "--propose-pc", "3") == 0


@pytest.mark.parametrize(
    ("options", "calling", "called"),
    [
        ("", "ECHOSCU", "ANY-SCP"),
        ("-aet ME -aec YOU", "ME", "YOU"),
        ("--aetitle ME --call YOU", "ME", "YOU"),
        ("--ae-title ME --called-aet YOU", "ME", "YOU"),
        ("--calling-aet ME", "ME", "ANY-SCP"),
    ],
)
async def test_ae_titles(options: str, calling: str, called: str) -> None:
    request = await proposal(*options.split())
    assert (request.calling_ae_title, request.called_ae_title) == (calling, called)


@pytest.mark.parametrize(("options", "length"), [("", 16384), ("-pdu 4096", 4096), ("-pdu 0", 0)])
async def test_length_of_pdus(options: str, length: int) -> None:
    request = await proposal(*options.split())
    item = request.user_item(MaximumLength)
    assert item is not None
    assert item.value == length


# No association: 1 -------------------------------------------------------------------------------


async def test_nobody_listens(capfd: Capture) -> None:
    port = free_port()
    assert await run(port) == 1
    said = line(capfd)
    assert said.startswith("F: Association Request Failed: ")
    assert f"127.0.0.1:{port}: Connection refused" in said


async def test_an_address_of_the_other_kind(capfd: Capture) -> None:
    assert await answered(friendly, "-i4") == 0
    assert await answered(friendly, "-i6", "-i0") == 0
    assert await run(free_port(), "-i6") == 1
    assert "Connection refused" not in line(capfd)


async def test_no_connection_in_time(capfd: Capture) -> None:
    """Of which TLS is a part."""

    async def script(caller: Caller) -> None:
        await caller.gone()

    assert await answered(script, "+tla", "-ic", "-to", "0.2") == 1
    assert "within 0.2 s" in line(capfd)


async def test_a_rejection(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.asked()
        await caller.send(AssociateReject(1, 1, 7))
        await caller.closed()

    assert await answered(script) == 1
    assert line(capfd) == (
        "F: Association Rejected: rejected-permanent: called AE title not recognized"
    )


async def test_an_abort_instead_of_an_answer(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.asked()
        await caller.send(Abort(2, 0))
        await caller.closed()

    assert await answered(script) == 1
    assert line(capfd).startswith("F: Association Request Failed: aborted by the peer")


async def test_no_answer_in_time(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.asked()
        await caller.aborted()

    assert await answered(script, "-ta", "0.2") == 1
    assert "no answer to our request within 0.2 s" in line(capfd)


async def test_no_context_that_was_accepted(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(answer=lambda _: [accepted(1, IMPLICIT_LITTLE, result=3)])
        assert await caller.receive() in (ReleaseRequest(), Abort(0, 0))

    assert await answered(script) == 1
    assert line(capfd).startswith("F: No Acceptable Presentation Contexts: ")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("", "missing parameter port"),
        ("0", "parameter port: 0 is not a TCP port, 1 to 65535"),
        ("104 x", "too many parameters: x"),
        ("104 -pts 54", "option -pts: 54 is not 1 to 53"),
        ("104 -pts 0", "option -pts: 0 is not 1 to 53"),
        ("104 -ppc 129", "option -ppc: 129 is not 1 to 128"),
        ("104 --repeat 0", "option --repeat: 0 is not 1 or more"),
        ("104 -aet " + 17 * "X", "option -aet: "),
        ("104 +cf file", "--add-cert-file only allowed with --enable-tls or --anonymous-tls"),
        ("104 +vc file", "openssl verify -CAfile AUTHORITY file does it"),
        ("104 +rc file", "openssl verify -CAfile AUTHORITY file does it"),
    ],
)
def test_a_wrong_command_line(capfd: Capture, options: str, complaint: str) -> None:
    assert echoscu.echoscu(["host", *options.split()]) == 1
    said = line(capfd)
    assert said.startswith("error: ")
    assert complaint in said


# No echo: 70 -------------------------------------------------------------------------------------


async def test_a_status_that_is_no_success(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await echo(caller)
        await echo(caller, Status.SOP_CLASS_NOT_SUPPORTED)
        await caller.released()

    assert await answered(script, "--repeat", "3") == 70
    assert line(capfd) == "E: Echo Failed: the peer answers with status 0x0122"


async def test_an_abort_instead_of_a_response(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.command()
        await caller.send(Abort(0, 0))
        await caller.closed()

    assert await answered(script) == 70
    assert line(capfd).startswith("E: Echo Failed: aborted by the peer")


async def test_a_connection_that_is_lost(capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.command()
        caller.cut()

    assert await answered(script) == 70
    assert line(capfd).startswith("E: Echo Failed: ")


@pytest.mark.parametrize("option", ["-td", "-tn", "--socket-timeout"])
async def test_no_response_in_time(capfd: Capture, option: str) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.command()
        await caller.aborted(2)

    assert await answered(script, option, "0.2") == 70
    assert lines(capfd)[-1] == "E: Echo Failed: no response within 0.2 s"


# TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), trustme.KeyType.RSA)


async def test_tls(capfd: Capture, authority: Authority) -> None:
    tls = authority.tls()
    own = identity(tls)
    enable = ("+tls", str(own.key), str(own.certificate))
    trust = ("+cf", str(own.authority))
    context = await asyncio.to_thread(acceptor_context, tls)
    async with serving(ssl=context) as server:
        assert await run(server.port, *enable, *trust) == 0
        assert await run(server.port, *enable, "-ic") == 0
        capfd.readouterr()
        assert await run(server.port) == 1
        assert await run(server.port, "+tla", *trust) == 1
        said = [text for text in lines(capfd) if text.startswith("F: ")]
        assert len(said) == 2


async def test_an_acceptor_that_is_not_trusted(
    capfd: Capture, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path)
    context = await asyncio.to_thread(acceptor_context, authority.tls())
    async with serving(ssl=context) as server:
        assert await run(server.port, "+tla", "+cf", str(stranger.certificate)) == 1
        (said,) = [text for text in lines(capfd) if text.startswith("F: ")]
        assert "certificate does not verify" in said


def test_a_key_that_is_missing(capfd: Capture, tmp_path: Path) -> None:
    path = str(tmp_path / "missing")
    assert echoscu.echoscu(["host", "104", "+tls", path, path, "-ic"]) == 1
    assert line(capfd) == f"F: certificate {path}: No such file or directory"
