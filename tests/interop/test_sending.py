"""Our requestor against receivers of others, and a gigabyte from a file in a few megabytes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import AssociationAborted, AssociationRejected, NotSent, StoreResult
from aiodicom.wire.part10 import FileMeta
from aiodicom.wire.proposal import DEFLATED
from tests.interop.samples import CUT_OFF, SAMPLES, Sample, named, read
from tests.processes import PATIENCE, Sender, free_port, tries, visible
from tests.scripted_acceptor import TIMEOUTS, nothing_left, sparse_object
from tests.serving import serving

dcmtk = pytest.mark.dcmtk

UID = "1.2.826.0.1.90"
MEGABYTE = 1 << 20
GIGABYTE = 1 << 30


SOME = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "rtplan.dcm",
        "MR_small_RLE.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_gdcm.dcm", "image_dfl.dcm")  # fmt: skip

DISTINCT = [name for name in SOME if not name.startswith("MR_small_")]
"""Those that have SOP Instance UIDs of their own."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One event loop is enough for what is about bytes."""
    return "asyncio", {"use_uvloop": True}


@contextlib.contextmanager
def receiving(folder: Path, *command: str) -> Iterator[int]:
    """Run a receiver of others while the body runs; give its port to its command line."""
    port = free_port()
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [word.replace("PORT", str(port)) for word in command],
            cwd=folder,
            stdout=output,
            stderr=output,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        try:
            for _ in tries(f"port {port} does not answer"):
                assert process.poll() is None, log.read_text()
                with contextlib.suppress(OSError), Sender(port):
                    break
            yield port
        finally:
            process.kill()
            process.wait(PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


async def send_all(
    port: int, *samples: Sample, associations: int = 1, **settings: Any
) -> list[StoreResult]:
    """Send files over one requestor that leaves nothing behind."""
    paths = [one.path for one in samples]
    async with (
        nothing_left(),
        aiodicom.connect("127.0.0.1", port, timeouts=TIMEOUTS, **settings) as requestor,
        contextlib.aclosing(requestor.send(paths, associations=associations)) as results,
    ):
        return [result async for result in results]


def content(data: bytes, transfer_syntax: str) -> tuple[bytes, str]:
    return hashlib.blake2b(data).digest(), transfer_syntax


def received(folder: Path) -> Counter[tuple[bytes, str]]:
    """The datasets in a folder of files."""
    found: Counter[tuple[bytes, str]] = Counter()
    for path in folder.iterdir():
        data = path.read_bytes()
        meta, offset = FileMeta.decode(data)
        found[content(data[offset:], meta.transfer_syntax_uid)] += 1
    return found


def expected(*samples: Sample) -> Counter[tuple[bytes, str]]:
    return Counter(content(as_sent(one), one.transfer_syntax_uid) for one in samples)


def as_sent(one: Sample) -> bytes:
    """A dataset with the NUL that makes a deflated one even (PS3.5 A.5)."""
    is_padded = len(one.data) % 2 and one.transfer_syntax_uid == DEFLATED
    return one.data + b"\0" if is_padded else one.data


# DCMTK -------------------------------------------------------------------------------------------


@dcmtk
@pytest.mark.parametrize("multiplicity", ["--single-process", "--fork"])
async def test_all_of_pydicoms_files_to_storescp_byte_for_byte(
    folder: Path, multiplicity: str
) -> None:
    options = ("+xa", "+B", "-pm", "+uf", multiplicity)
    with receiving(folder, "storescp", *options, "PORT") as port:
        associations = 1 if multiplicity == "--single-process" else 3
        results = await send_all(port, *SAMPLES, associations=associations)
    assert Counter(result.path for result in results) == Counter(str(one.path) for one in SAMPLES)
    cut_off = {str(one.path) for one in CUT_OFF}
    accepted = []
    for one, result in zip(SAMPLES, sorted(results, key=lambda r: ORDER[r.path]), strict=True):
        if result.stored:
            accepted.append(one)
        elif result.path in cut_off:
            assert "it was cut off: " in result.reason
        else:
            assert isinstance(result.error, NotSent)
            assert result.reason.startswith("the peer accepts no Color Palette Storage as ")
    assert len(accepted) >= 165
    assert received(folder) == expected(*accepted)


ORDER = {str(one.path): number for number, one in enumerate(SAMPLES)}


@dcmtk
@pytest.mark.parametrize("length", ["4096", "16384", "131072"])
async def test_storescp_and_the_length_of_its_pdus(folder: Path, length: str) -> None:
    samples = [named(name) for name in SOME]
    with receiving(folder, "storescp", "+xa", "+B", "+uf", "-pdu", length, "PORT") as port:
        results = await send_all(port, *samples, maximum_send_length=20_000)
    assert all(result.stored for result in results)
    assert received(folder) == expected(*samples)


@dcmtk
async def test_storescp_that_refuses(folder: Path) -> None:
    with (
        receiving(folder, "storescp", "--refuse", "PORT") as port,
        pytest.raises(AssociationRejected) as refused,
    ):
        await send_all(port, named("CT_small.dcm"))
    assert (refused.value.result, refused.value.source) == (1, 1)


@dcmtk
@pytest.mark.parametrize("when", ["--abort-after", "--abort-during"])
async def test_storescp_that_aborts(folder: Path, when: str) -> None:
    samples = [named(name) for name in SOME[:3]]
    with receiving(folder, "storescp", when, "PORT") as port:
        results = await send_all(port, *samples)
    assert len(results) == 3
    assert all(isinstance(result.error, AssociationAborted) for result in results)


@dcmtk
async def test_storescp_that_takes_no_such_transfer_syntax(folder: Path) -> None:
    with receiving(folder, "storescp", "PORT") as port:  # uncompressed ones only
        (result,) = await send_all(port, named("JPEG2000.dcm"))
    assert isinstance(result.error, NotSent)
    assert "the peer accepts no Secondary Capture Image Storage as JPEG 2000" in result.reason
    assert visible(folder) == []


DCMRECV_PROFILE = """
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Storage]
PresentationContext1 = CTImageStorage\\Uncompressed
PresentationContext2 = MRImageStorage\\Uncompressed
PresentationContext3 = RTPlanStorage\\Uncompressed
PresentationContext4 = VerificationSOPClass\\Uncompressed
[[Profiles]]
[Some]
PresentationContexts = Storage
"""


@dcmtk
async def test_dcmrecv(folder: Path) -> None:
    samples = [named(name) for name in ("CT_small.dcm", "MR_small_implicit.dcm", "rtplan.dcm")]
    profile = folder.with_name("dcmrecv.cfg")
    await asyncio.to_thread(profile.write_text, DCMRECV_PROFILE)
    options = ("+B", "+fu", "-xf", str(profile), "Some")
    with receiving(folder, "dcmrecv", *options, "PORT") as port:
        results = await send_all(port, *samples)
    assert all(result.stored for result in results)
    assert received(folder) == expected(*samples)


@dcmtk
async def test_storescp_is_asked_for_an_echo(folder: Path) -> None:
    with receiving(folder, "storescp", "PORT") as port:
        async with nothing_left(), aiodicom.connect("127.0.0.1", port) as requestor:
            assert [await requestor.c_echo() for _ in range(10)] == [0] * 10


# pynetdicom --------------------------------------------------------------------------------------


async def test_pynetdicoms_storescp(folder: Path) -> None:
    samples = [named(name) for name in DISTINCT]
    command = (sys.executable, "-m", "pynetdicom", "storescp", "PORT", "-od", str(folder))
    with receiving(folder, *command) as port:
        results = await send_all(port, *samples)
    assert [result.status for result in results] == [0] * len(samples)
    stored = [read(folder / name) for name in visible(folder)]
    by_uid = {str(one.SOPInstanceUID): one for one in stored}
    assert len(by_uid) == len(samples)
    for sample in samples:
        assert by_uid[sample.sop_instance_uid] == read(sample.path)


@pytest.mark.parametrize("length", ["0", "8", "4097"])
async def test_pynetdicoms_storescp_and_the_length_of_its_pdus(folder: Path, length: str) -> None:
    one = named("rtplan.dcm")
    command = (sys.executable, "-m", "pynetdicom", "storescp", "PORT", "-od", str(folder))
    with receiving(folder, *command, "-pdu", length) as port:
        (result,) = await send_all(port, one)
    assert result.stored
    (name,) = visible(folder)
    assert read(folder / name) == read(one.path)


# A gigabyte --------------------------------------------------------------------------------------

SEND = """
import asyncio, re, sys
from pathlib import Path
import aiodicom

def memory(name):
    return int(re.search(rf"{name}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

async def main():
    async with aiodicom.connect("127.0.0.1", int(sys.argv[1])) as requestor:
        async for result in requestor.send([sys.argv[2]]):
            assert result.stored, result.reason
        idle = memory("VmRSS")
        async for result in requestor.send([sys.argv[3]]):
            assert result.stored, result.reason
        print(idle, memory("VmHWM"))

if sys.argv[4] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_gigabyte_is_sent_in_little_memory(tmp_path: Path, loop: str) -> None:
    small = sparse_object(tmp_path, "1.2.3", 1000)
    large = sparse_object(tmp_path, UID, GIGABYTE)
    counts: list[int] = []

    async def count(request: aiodicom.StoreRequest) -> int:
        size = 0
        async for chunk in request.dataset:
            size += len(chunk)
        counts.append(size)
        return 0

    async with serving(store=count) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SEND,
            *map(str, (server.port, small, large, loop)),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    idle, peak = map(int, output.split())
    assert counts == [1000, GIGABYTE]
    figures = f"idle {idle / MEGABYTE:.1f} MiB, peak {peak / MEGABYTE:.1f} MiB"
    assert peak - idle <= 24 * MEGABYTE, figures
