"""Opening an association: every way in which it may fail, and what is said then."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

import aiodicom
from aiodicom import AssociationAborted, AssociationLost, AssociationRejected
from aiodicom.client.opening import Address
from aiodicom.wire.items import UserIdentity, UserIdentityResponse
from aiodicom.wire.pdu import Abort, AssociateReject, ReleaseRequest, ReleaseResponse, encode_pdu
from tests.peer import echo_command
from tests.processes import free_port
from tests.scripted_acceptor import (
    TIMEOUTS,
    Caller,
    Script,
    acceptance,
    accepting,
    connected,
    nothing_left,
)

SHORT = aiodicom.Timeouts(association=0.1, network=100, closing=20, connection=100)


async def failure(port: int, host: str = "127.0.0.1", **settings: Any) -> aiodicom.DicomError:
    """What a requestor raises that gets no association."""
    settings = {"timeouts": TIMEOUTS, **settings}
    with pytest.raises(aiodicom.DicomError) as raised:
        async with aiodicom.connect(host, port, **settings):
            pytest.fail("it has an association")
    assert "\n" not in str(raised.value)
    return raised.value


async def failure_with(script: Script, **settings: Any) -> aiodicom.DicomError:
    async with accepting(script) as acceptor:
        return await failure(acceptor.port, **settings)


# Connections -------------------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    port = free_port()
    async with nothing_left():
        error = await failure(port)
    assert isinstance(error, AssociationLost)
    assert str(error) == f"cannot connect to 127.0.0.1:{port}: Connection refused"


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})])
async def test_nobody_listens_on_any_of_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in ("127.0.0.1", "127.0.0.2")
    ]

    async def resolved(*_: object, **__: object) -> Any:
        return found

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    async with nothing_left():
        error = await failure(port, "pacs.example")
    assert str(error) == f"cannot connect to pacs.example:{port}: Connection refused"


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})])
@pytest.mark.parametrize("seconds", [None, 30])
async def test_the_system_gives_up_before_us(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    async def unreachable(*_: object, **__: object) -> Any:
        raise OSError(errno.ETIMEDOUT, "anything")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", unreachable)
    error = await failure(104, "pacs.example", timeouts=aiodicom.Timeouts(connection=seconds))
    assert str(error) == "cannot connect to pacs.example:104: Connection timed out"


async def test_a_name_that_nobody_knows() -> None:
    async with nothing_left():
        error = await failure(11112, "no-such-host.invalid")
    assert isinstance(error, AssociationLost)
    assert str(error).startswith("cannot connect to no-such-host.invalid:11112: ")
    assert "Errno" not in str(error)


async def test_an_address_of_the_wrong_family() -> None:
    async def nobody(caller: Caller) -> None:
        pytest.fail("it has come")

    async with accepting(nobody) as acceptor:
        error = await failure(acceptor.port, "127.0.0.1", family=socket.AF_INET6)
        assert isinstance(error, AssociationLost)
        assert str(error).startswith(f"cannot connect to 127.0.0.1:{acceptor.port}: ")


def test_an_ipv6_address_is_written_with_brackets() -> None:
    assert str(Address("::1", 104)) == "[::1]:104"


async def test_a_handshake_that_never_ends() -> None:
    async def silent(caller: Caller) -> None:
        await caller.gone()

    timeouts = aiodicom.Timeouts(connection=0.1, closing=20)
    async with accepting(silent) as acceptor:
        error = await failure(acceptor.port, ssl=ssl.create_default_context(), timeouts=timeouts)
        assert isinstance(error, AssociationLost)
        assert str(error) == f"no connection to 127.0.0.1:{acceptor.port} within 0.1 s"


async def test_a_peer_that_knows_no_tls() -> None:
    async def plain(caller: Caller) -> None:
        await caller.reader.read(1)
        await caller.send(encode_pdu(Abort(2, 1)))
        await caller.gone()

    async with accepting(plain) as acceptor:
        error = await failure(acceptor.port, ssl=ssl.create_default_context())
        assert str(error) == f"no TLS with 127.0.0.1:{acceptor.port}: what it sends is not TLS"


async def test_a_peer_that_closes_in_the_handshake() -> None:
    async def rude(caller: Caller) -> None:
        await caller.reader.read(1)
        caller.reset()

    error = await failure_with(rude, ssl=ssl.create_default_context())
    assert isinstance(error, AssociationLost)


# Rejections --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "source", "reason", "words"),
    [
        (1, 1, 1, "rejected-permanent: no reason given"),
        (1, 1, 2, "rejected-permanent: application context name not supported"),
        (1, 1, 3, "rejected-permanent: calling AE title not recognized"),
        (1, 1, 7, "rejected-permanent: called AE title not recognized"),
        (1, 2, 1, "rejected-permanent: no reason given"),
        (1, 2, 2, "rejected-permanent: protocol version not supported"),
        (2, 3, 1, "rejected-transient: temporary congestion"),
        (2, 3, 2, "rejected-transient: local limit exceeded"),
        (1, 1, 9, "rejected-permanent: reason 9 of source 1"),
        (7, 8, 9, "7: reason 9 of source 8"),
    ],
)
async def test_a_rejection(result: int, source: int, reason: int, words: str) -> None:
    async def rejecting(caller: Caller) -> None:
        await caller.asked()
        await caller.send(AssociateReject(result, source, reason))
        await caller.closed()

    error = await failure_with(rejecting)
    assert isinstance(error, AssociationRejected)
    assert (error.result, error.source, error.reason) == (result, source, reason)
    assert str(error) == words


async def test_a_rejection_after_which_the_peer_closes() -> None:
    async def rejecting(caller: Caller) -> None:
        await caller.asked()
        await caller.send(AssociateReject(1, 1, 7))
        caller.cut()

    assert isinstance(await failure_with(rejecting), AssociationRejected)


# Instead of an answer ----------------------------------------------------------------------------


async def test_no_answer_at_all() -> None:
    async def silent(caller: Caller) -> None:
        await caller.asked()
        await caller.aborted()

    begin = time.monotonic()
    error = await failure_with(silent, timeouts=SHORT)
    assert isinstance(error, AssociationLost)
    assert str(error) == "no answer to our request within 0.1 s"
    assert time.monotonic() - begin < 10


async def test_half_an_answer() -> None:
    async def slow(caller: Caller) -> None:
        request = await caller.asked()
        await caller.send(encode_pdu(acceptance(request))[:-1])
        await caller.aborted()

    assert str(await failure_with(slow, timeouts=SHORT)) == "no answer to our request within 0.1 s"


async def test_an_answer_in_small_pieces() -> None:
    async def slow(caller: Caller) -> None:
        request = await caller.asked()
        for byte in encode_pdu(acceptance(request)):
            await caller.send(bytes([byte]))
            await asyncio.sleep(0)
        await caller.released()

    async with accepting(slow) as acceptor, connected(acceptor) as requestor:
        assert requestor.agreed.contexts[1].is_accepted


@pytest.mark.parametrize(("source", "reason"), [(0, 0), (2, 1), (2, 6)])
async def test_an_abort(source: int, reason: int) -> None:
    async def aborting(caller: Caller) -> None:
        await caller.asked()
        await caller.send(Abort(source, reason))
        await caller.closed()

    error = await failure_with(aborting)
    assert isinstance(error, AssociationAborted)
    assert (error.source, error.reason) == (source, reason)


async def test_the_connection_is_closed() -> None:
    async def closing(caller: Caller) -> None:
        await caller.asked()

    error = await failure_with(closing)
    assert isinstance(error, AssociationLost)
    assert str(error) == "the connection is lost"


async def test_the_connection_is_closed_before_anything_comes() -> None:
    async def closing(caller: Caller) -> None:
        caller.cut()

    assert isinstance(await failure_with(closing), AssociationLost)


async def test_the_connection_is_reset() -> None:
    async def resetting(caller: Caller) -> None:
        await caller.asked()
        caller.reset()

    error = await failure_with(resetting)
    assert isinstance(error, AssociationLost)
    assert str(error).startswith("the connection is lost: ")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0" * 100,
        b"\xff" * 100,
        struct.pack(">BxI", 2, 10) + bytes(10),  # an A-ASSOCIATE-AC that is too short
        struct.pack(">BxI", 2, 0xFFFFFFFF),
        struct.pack(">BxI", 3, 5) + bytes(5),
        encode_pdu(ReleaseRequest()),
        encode_pdu(ReleaseResponse()),
        struct.pack(">BxIIBB", 4, 8, 4, 1, 3) + b"ab",
    ],
    ids=lambda data: repr(data[:12]),
)
async def test_garbage(data: bytes) -> None:
    async def babbling(caller: Caller) -> None:
        await caller.asked()
        await caller.send(data)
        answer = await caller.receive()
        assert isinstance(answer, Abort)
        assert answer.source == 2
        await caller.closed()

    error = await failure_with(babbling)
    assert isinstance(error, AssociationLost)
    assert str(error).startswith("the peer broke the protocol: ")
    assert str(error).isprintable()


@pytest.mark.parametrize("position", range(6, 300, 23))
async def test_a_damaged_answer(position: int) -> None:
    """Whatever it says, there is an association or a reason why not, at once."""

    async def damaging(caller: Caller) -> None:
        request = await caller.asked()
        data = bytearray(encode_pdu(acceptance(request)))
        data[position % len(data)] ^= 0xFF
        await caller.send(bytes(data))
        await caller.gone()

    begin = time.monotonic()
    async with accepting(damaging) as acceptor:
        with contextlib.suppress(aiodicom.DicomError):
            async with connected(acceptor, timeouts=SHORT):
                pass
    assert time.monotonic() - begin < 10


# Cancelling --------------------------------------------------------------------------------------


async def test_whoever_is_cancelled_leaves_nothing() -> None:
    asked = asyncio.Event()

    async def silent(caller: Caller) -> None:
        await caller.asked()
        asked.set()
        await caller.aborted()

    async with accepting(silent) as acceptor:
        task = asyncio.create_task(failure(acceptor.port))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# What is said ------------------------------------------------------------------------------------


async def test_who_calls_whom() -> None:
    async def script(caller: Caller) -> None:
        request = await caller.accept()
        assert (request.called_ae_title, request.calling_ae_title) == ("PACS", "MODALITY")
        assert request.maximum_length == 65536
        await caller.released()

    settings = {"called_ae_title": "PACS", "calling_ae_title": "MODALITY", "maximum_length": 65536}
    async with accepting(script) as acceptor, connected(acceptor, **settings):
        pass


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: UserIdentity.user("jo"), (1, 0, b"jo", b"")),
        (lambda: UserIdentity.user("j\xf6", "secret"), (2, 0, b"j\xc3\xb6", b"secret")),
        (lambda: UserIdentity.kerberos(b"\x60\x82", response=True), (3, 1, b"\x60\x82", b"")),
        (lambda: UserIdentity.saml(b"<saml/>" * 4000), (4, 0, b"<saml/>" * 4000, b"")),
        (lambda: UserIdentity.jwt(b"a.b.c"), (5, 0, b"a.b.c", b"")),
    ],
    ids=range(1, 6),
)
async def test_a_user_identity_arrives(
    make: Callable[[], UserIdentity], expected: tuple[int, int, bytes, bytes]
) -> None:
    async def script(caller: Caller) -> None:
        request = await caller.accept(16384, UserIdentityResponse(b""))
        item = request.user_item(UserIdentity)
        assert item is not None
        said = (item.identity_type, item.positive_response_requested, item.primary, item.secondary)
        assert said == expected
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor, user_identity=make()):
        pass


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"port": 0}, "0 is no TCP port: 1 to 65535"),
        ({"port": 65536}, "65536 is no TCP port: 1 to 65535"),
        ({"called_ae_title": "SEVENTEEN LETTERS"}, "longer than 16 characters"),
        ({"calling_ae_title": " "}, "is no AE title"),
        ({"window": 65536}, "window of 65536"),
        ({"window": -1}, "window of -1"),
        ({"maximum_length": 100}, "maximum length of 100"),
        ({"maximum_send_length": -1}, "maximum send length of -1"),
        ({"maximum_send_length": 7}, "maximum send length of 7"),
        ({"contexts": [("1.2", [])]}, "without a transfer syntax"),
        ({"contexts": [("1.2", "1.2.840.10008.1.2")]}, "must be a list"),
        ({"contexts": [("1.2", ["1.2.3"])] * 129}, "129 presentation contexts"),
        ({"contexts": []}, "0 presentation contexts"),
        ({"user_identity": UserIdentity.jwt(bytes(65536))}, "too long"),
    ],
)
async def test_what_cannot_be_meant_is_told_at_once(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        aiodicom.connect(**{"host": "127.0.0.1", "port": 104, **settings})


async def test_an_echo() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        for number in (1, 2):
            context_id, command = await caller.command()
            assert (context_id, command.encode()) == (1, echo_command(number).encode())
            await caller.respond(command, 0 if number == 1 else 0x0211)
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        assert await requestor.c_echo() == 0
        assert await requestor.c_echo() == 0x0211


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_what_is_no_host_name(host: str) -> None:
    error = await failure(104, host)
    assert str(error) == f"cannot connect to {host}:104: that is no host name"


async def test_a_user_identity_that_is_not_confirmed() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.aborted()

    identity = UserIdentity.user("jo", response=True)
    error = await failure_with(script, user_identity=identity)
    assert str(error) == "the peer has not confirmed the user identity"
