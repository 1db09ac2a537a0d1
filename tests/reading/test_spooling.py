"""request.as_file(): a DICOM file, in memory or on the disk."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import IO

import pydicom
import pytest

from aiodicom import AssociationClosed, Status, StoreRequest
from tests.peer import Peer, fragment
from tests.reading.objects import EXPLICIT, Doing, command, context_of, ct, encoded, proposing
from tests.reading.test_decoding import answered
from tests.serving import MIB, serving
from tests.storage.objects import names

DATA = encoded(ct())
SIZES = pytest.mark.parametrize("memory", [MIB, 5000, 0])


@SIZES
async def test_a_file_is_what_would_be_stored(memory: int, tmp_path: Path) -> None:
    async def all_of_it(request: StoreRequest) -> tuple[bytes, bytes]:
        async with request.as_file(memory=memory, folder=tmp_path) as file:
            return await asyncio.to_thread(file.read), request.file_meta()

    (data, head), status = await answered(Doing(all_of_it), DATA)
    assert (data, status) == (head + DATA, Status.SUCCESS)


@SIZES
async def test_a_file_can_be_sought_in_by_who_wants_a_file(memory: int) -> None:
    async def read(request: StoreRequest) -> str:
        async with request.as_file(memory=memory) as file:
            return await asyncio.to_thread(name_in, file)

    def name_in(file: IO[bytes]) -> str:
        assert (file.seekable(), file.seek(128), file.read(4)) == (True, 128, b"DICM")
        file.seek(0)
        return str(pydicom.dcmread(file, stop_before_pixels=True).PatientName)

    name, _ = await answered(Doing(read), DATA)
    assert name == "Müller^Jörg"


@pytest.mark.parametrize(("memory", "is_in_memory"), [(20_000, True), (10_000, False)])
async def test_a_large_file_is_on_the_disk_and_a_small_one_is_not(
    memory: int, is_in_memory: bool
) -> None:
    async def kind(request: StoreRequest) -> bool:
        async with request.as_file(memory=memory) as file:
            return isinstance(file, io.BytesIO)

    assert (await answered(Doing(kind), DATA))[0] == is_in_memory


async def test_a_file_of_several_slabs_is_whole() -> None:
    large = ct()
    large[0x7FE00010].value = bytes(range(256)) * (5 * MIB // 256)
    data = encoded(large)

    async def same(request: StoreRequest) -> bool:
        async with request.as_file() as file:
            return await asyncio.to_thread(file.read) == request.file_meta() + data

    assert (await answered(Doing(same), data, size=100_000))[0]


@pytest.mark.parametrize("memory", [MIB, 0])
async def test_a_file_is_gone_afterwards(memory: int, tmp_path: Path) -> None:
    files = []

    async def failing(request: StoreRequest) -> None:
        async with request.as_file(memory=memory, folder=tmp_path) as file:
            files.append(file)
            raise ValueError

    assert (await answered(Doing(failing), DATA))[1] == Status.UNABLE_TO_PROCESS
    assert files[0].closed
    assert not names(tmp_path)


async def test_a_folder_that_is_not_there_is_answered_like_a_full_disk(tmp_path: Path) -> None:
    async def spool(request: StoreRequest) -> None:
        async with request.as_file(memory=0, folder=tmp_path / "missing"):
            raise AssertionError("there is no file")

    error, status = await answered(Doing(spool), DATA)
    assert (type(error), status) == (FileNotFoundError, Status.OUT_OF_RESOURCES)


@pytest.mark.parametrize("memory", [MIB, 0])
async def test_a_peer_that_goes_meanwhile_is_raised(memory: int) -> None:
    async def spool(request: StoreRequest) -> None:
        async with request.as_file(memory=memory):
            raise AssertionError("it is not whole")

    handler = Doing(spool)
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(DATA[:500], context_of(EXPLICIT)))
        await peer.abort()
        assert isinstance(await handler.outcome(), AssociationClosed)


async def test_after_a_part_was_read_there_is_no_file() -> None:
    async def late(request: StoreRequest) -> None:
        await request.dataset.read()
        async with request.as_file():
            raise AssertionError("something is missing")

    assert isinstance((await answered(Doing(late), DATA))[0], RuntimeError)
