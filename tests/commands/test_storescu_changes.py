"""storescu: objects that are changed on their way, TLS, terminals and signals."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiodicom.objects.convert import convert
from aiodicom.objects.header import read_header
from aiodicom.tls import acceptor_context
from aiodicom.wire.elements import ElementWalker, Encoding
from aiodicom.wire.items import AcceptedContext
from aiodicom.wire.negotiation import EXPLICIT_BIG, IMPLICIT_LITTLE
from aiodicom.wire.pdu import AssociateRequest
from tests.certificates import Authority, identity
from tests.commands.sending import Recorder, answered, recorded, run
from tests.interop.samples import named
from tests.peer import CT, ct_dataset, element, uid_value
from tests.processes import PATIENCE
from tests.scripted_acceptor import Acceptor, Caller, accepted, write_object
from tests.serving import discard, serving

DEFLATED = "1.2.840.10008.1.2.1.99"
SERIES, STUDY, PATIENT = 0x0020000E, 0x0020000D, 0x00100020


class Only(Recorder):
    """Accepts one transfer syntax and nothing else."""

    def __init__(self, transfer_syntax: str) -> None:
        super().__init__()
        self._only = transfer_syntax

    async def __call__(self, caller: Caller) -> None:
        self.requests.append(await caller.accept(answer=self._answer))
        self.objects += await caller.serve()

    def _answer(self, request: AssociateRequest) -> Iterator[AcceptedContext]:
        for context in request.presentation_contexts:
            fits = self._only in context.transfer_syntaxes
            yield accepted(context.context_id, self._only if fits else "", 0 if fits else 4)


def converted(path: Path, transfer_syntax: str, **settings: Any) -> bytes:
    """A file's dataset in another transfer syntax."""
    target, header = io.BytesIO(), read_header(str(path))
    with path.open("rb") as source:
        convert(
            source,
            target,
            header.transfer_syntax_uid,
            transfer_syntax,
            start=header.offset,
            **settings,
        )
    return target.getvalue()


def found(data: bytes, *tags: int) -> tuple[bytes, ...]:
    """The values of some elements in Explicit VR Little Endian."""
    walker = ElementWalker(Encoding(is_explicit=True), tags)
    walker.feed(data)
    return tuple(walker.found[tag].strip(b"\0 ") for tag in tags)


# Conversion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_BIG])
async def test_converted_where_nothing_else_is_accepted(syntax: str) -> None:
    path, only = named("CT_small.dcm").path, Only(syntax)
    assert await answered(only, path) == 0
    assert only.objects[0].data == await asyncio.to_thread(converted, path, syntax)


async def test_deflated_with_a_level() -> None:
    path = named("CT_small.dcm").path
    sizes = []
    for level in (0, 9):
        only = Only(DEFLATED)
        assert await answered(only, path, "-xd", "+cl", str(level)) == 0
        expected = await asyncio.to_thread(converted, path, DEFLATED, level=level)
        assert only.objects[0].data == expected
        sizes.append(len(only.objects[0].data))
    assert sizes[0] > sizes[1]


async def test_newer_value_representations_become_ob(tmp_path: Path) -> None:
    unknown = b"\x09\0\x11\x10UN\0\0\x02\0\0\0ab"
    data = (
        element(0x00080016, b"UI", uid_value(CT))
        + element(0x00080018, b"UI", uid_value("1.2.3"))
        + element(0x00090011, b"LO", b"OWN ")
        + unknown
    )
    path = write_object(tmp_path, "1.2.3", data=data)
    assert (await recorded(path)).objects[0].data == data
    assert (await recorded(path, "-u", "+u")).objects[0].data == data
    assert (await recorded(path, "-u")).objects[0].data == data.replace(b"UN\0\0", b"OB\0\0")


# New identities -----------------------------------------------------------------------------------


def identified(tmp_path: Path) -> Path:
    head = ct_dataset("1.2.3", b"")[:-12]
    data = (
        head
        + element(0x00100010, b"PN", b"Doe^Jo")
        + element(PATIENT, b"LO", b"ID")
        + element(STUDY, b"UI", b"1.2\0")
        + element(SERIES, b"UI", b"1.3\0")
        + b"\xe0\x7f\x10\x00OW\0\0\x04\0\0\0\1\2\3\4"
    )
    return write_object(tmp_path, "1.2.3", data=data)


async def identities(path: Path, *options: str) -> list[tuple[bytes, ...]]:
    """Series, study and patient of each object; instances are new, and the command's as well."""
    recorder = await recorded(path, "--repeat", "8", *options)
    data = [received.data for received in recorder.objects]
    assert [found(one, 0x00080018)[0].decode() for one in data] == recorder.uids
    assert all(one.endswith(b"\1\2\3\4") for one in data)
    assert len(set(recorder.uids) - {"1.2.3"}) == 8
    return [found(one, PATIENT, STUDY, SERIES) for one in data]


async def test_invented_instances(tmp_path: Path) -> None:
    seen = await identities(identified(tmp_path), "+II")
    assert len(set(seen)) == 1  # 100 objects have one series
    assert seen[0][2] != b"1.3"


async def test_invented_series_studies_and_patients(tmp_path: Path) -> None:
    path = identified(tmp_path)
    seen = await identities(path, "+IR", "1", "+IS", "2", "+IP", "2")
    patients, studies, series = ([one[n] for one in seen] for n in range(3))
    assert [len(set(values)) for values in (series, studies, patients)] == [8, 4, 2]
    assert patients == sorted(patients, key=patients.index)
    assert len({one[2] for one in await identities(path, "+IR", "4")}) == 2


# TLS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


async def test_tls(tmp_path: Path, authority: Authority) -> None:
    ours, theirs = authority.tls("sender"), authority.tls("receiver")
    key, certificate = identity(ours).key, identity(ours).certificate
    context = await asyncio.to_thread(acceptor_context, theirs)
    path = write_object(tmp_path, "1.2.3")
    trusted = ("+cf", str(ours.authorities[0]))
    async with serving(store=discard, ssl=context) as server:
        assert await run(server.port, "+tls", key, certificate, *trusted, path) == 0
        assert await run(server.port, "+tls", key, certificate, "-ic", path) == 0
        assert await run(server.port, "+tls", key, certificate, "-tls", path, "-ta", "1") != 0
        assert await run(server.port, "+tls", key, "/none", *trusted, path) == 1


# Terminals and signals ----------------------------------------------------------------------------


def command(port: int, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", "aiodicom.storescu", "127.0.0.1", str(port), *map(str, words)]


async def test_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    for number in range(3):
        write_object(tmp_path, f"1.2.{number}", 5000)
    async with serving(store=discard) as server:
        text = await asyncio.to_thread(_on_a_terminal, command(server.port, tmp_path))
        quiet = await asyncio.to_thread(_on_a_terminal, command(server.port, tmp_path, "-q"))
    assert "3/3 files" in text
    assert "15.0/15.0 kB" in text
    assert quiet == ""


def _on_a_terminal(words: list[str]) -> str:
    """Run a command whose standard error is a terminal; return what it wrote there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(words, stderr=theirs, env=environment) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # nobody has the other end any more
                break
            text += part
        os.close(ours)
        assert process.wait(PATIENCE) == 0
    return text.decode()


async def test_no_bar_elsewhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        write_object(tmp_path, f"1.2.{number}")
    await recorded(tmp_path)
    assert capfd.readouterr() == ("", "")


async def test_ctrl_c_aborts(tmp_path: Path) -> None:
    path = write_object(tmp_path, "1.2.3")
    came = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store()
        came.set()
        await caller.aborted()

    acceptor = Acceptor(script)
    server = await asyncio.start_server(acceptor.connected, "127.0.0.1", 0)
    async with server:
        words = command(server.sockets[0].getsockname()[1], path)
        process = await asyncio.to_thread(subprocess.Popen, words, stderr=subprocess.PIPE)
        try:
            async with asyncio.timeout(PATIENCE):
                await came.wait()
            process.send_signal(signal.SIGINT)
            _, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
        finally:
            process.kill()
        await acceptor.ended()
    assert process.returncode == 130
    assert errors == b"E: Interrupted\n"
