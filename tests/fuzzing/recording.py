"""Records conversations with others' implementations for the corpus.

    python -m tests.fuzzing.recording

Needs DCMTK and pynetdicom. What is recorded replaces what was recorded before; the objects are
small, made up, and the same each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pynetdicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from pynetdicom import pdu_primitives as items

import aiodicom
from tests.fuzzing.inputs import HEAD
from tests.fuzzing.requestor import CONTEXTS, make_objects
from tests.fuzzing.targets import CORPUS
from tests.peer import CT

__all__ = ["record"]

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
PATIENCE = 30


class _Tap:
    """Stands between a requestor and an acceptor, and keeps what both say."""

    def __init__(self, port: int) -> None:
        self.said = bytearray()
        self.answered = bytearray()
        self._to = port

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self._to)
        await asyncio.gather(_copy(reader, onward, self.said), _copy(there, writer, self.answered))


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            kept += data
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def _tapped(port: int) -> AsyncIterator[tuple[_Tap, int]]:
    tap = _Tap(port)
    server = await asyncio.start_server(tap, "127.0.0.1", 0)
    async with server:
        yield tap, server.sockets[0].getsockname()[1]


def _keep(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(bytes(HEAD) + data)


# Requestors, recorded for acceptors -------------------------------------------------------------

_Sender = Callable[[int], Awaitable[None]]


def _command(line: str, *paths: str) -> _Sender:
    """Return what runs one of DCMTK's commands; what it says of its success does not matter."""

    async def run(port: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *line.split(), "127.0.0.1", str(port), *paths,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.wait_for(process.wait(), PATIENCE)

    return run


def _dcmtk(paths: list[str]) -> Iterator[tuple[str, _Sender]]:
    explicit, other, compressed, implicit = paths
    yield "echoscu", _command("echoscu")
    yield "echoscu-syntaxes", _command("echoscu -pts 3 -ppc 5")
    for name, option, path in (
        ("explicit", "-R -xe", explicit), ("big", "-R -xb", explicit), ("all", "-xi", implicit),
        ("deflated", "-R -xd", explicit), ("jpeg", "-R -xy", compressed),
        ("implicit", "-R -xi", implicit), ("fragments", "-R --max-send-pdu 4096", explicit),
    ):  # fmt: skip
        yield f"storescu-{name}", _command(f"storescu {option}", path)
    yield "dcmsend", _command("dcmsend", *paths)
    yield "storescu-several", _command("storescu -R -usr me -pwd secret", explicit, other, implicit)


def _associating(
    contexts: list[tuple[str, list[str]]],
    act: Callable[[Any], None],
    negotiated: list[Any] | None = None,
) -> _Sender:
    """Return what has pynetdicom ask for an association, and do something with it."""

    def run(port: int) -> None:
        entity = pynetdicom.AE("PYNETDICOM")
        for abstract, transfer in contexts:
            entity.add_requested_context(abstract, transfer)
        association = entity.associate("127.0.0.1", port, ext_neg=negotiated or [])
        if association.is_established:
            act(association)
        if association.is_established:
            association.release()

    return lambda port: asyncio.to_thread(run, port)


def _made(kind: type, **values: Any) -> Any:
    item = kind()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _object(uid: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, uid
    dataset.PatientName, dataset.StudyInstanceUID = "Nobody^No", "1.2.9"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    return dataset


def _stores(association: Any) -> None:
    for number in range(2):
        association.send_c_store(_object(f"1.2.{number}"), msg_id=number + 1)


def _pynetdicom() -> Iterator[tuple[str, _Sender]]:
    both = [(VERIFICATION, [IMPLICIT]), (CT, [EXPLICIT, IMPLICIT])]
    yield "echo", _associating(both, lambda association: association.send_c_echo())
    yield "stores", _associating(both, _stores)
    yield "abort", _associating(both, lambda association: association.abort())
    many = [(f"1.2.840.10008.5.1.4.1.1.{number}", [EXPLICIT]) for number in range(20)]
    yield "many-contexts", _associating([*both, *many], _stores)
    yield "nothing-common", _associating([("1.2.840.10008.5.1.4.31", [IMPLICIT])], _stores)
    window = _made(
        items.AsynchronousOperationsWindowNegotiation,
        maximum_number_operations_invoked=3, maximum_number_operations_performed=1,
    )  # fmt: skip
    yield "window", _associating(both, _stores, [window])
    for kind in range(1, 6):
        identity = _made(
            items.UserIdentityNegotiation, user_identity_type=kind, primary_field=b"user",
            positive_response_requested=kind % 2 == 1,
        )  # fmt: skip
        if kind == 2:
            identity.secondary_field = b"secret"
        yield f"identity-{kind}", _associating(both, _stores, [identity])
    role = pynetdicom.build_role(CT, scu_role=True, scp_role=True)
    extended = _made(
        items.SOPClassExtendedNegotiation, sop_class_uid=CT,
        service_class_application_information=b"\2\0\3\0\1\0",
    )  # fmt: skip
    common = _made(
        items.SOPClassCommonExtendedNegotiation, sop_class_uid=CT,
        service_class_uid="1.2.840.10008.4.2", related_general_sop_class_identification=["1.2.3"],
    )  # fmt: skip
    yield "extended", _associating(both, _stores, [role, extended, common])


async def _record_requestors(paths: list[Path]) -> None:
    async def drop(request: aiodicom.StoreRequest) -> int:
        request.dataset.discard()
        return aiodicom.Status.SUCCESS

    names = [str(path) for path in paths]
    async with aiodicom.serve(store=drop, host="127.0.0.1", port=0, window=4) as server:
        for maker, senders in (("dcmtk", _dcmtk(names[:4])), ("pynetdicom", _pynetdicom())):
            for name, send in senders:
                async with _tapped(server.port) as (tap, port):
                    await send(port)
                _keep("acceptor", f"{maker}-{name}", bytes(tap.said))


# Acceptors, recorded for requestors -------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def _listens(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _storescp(folder: str) -> AsyncIterator[int]:
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        "storescp", "+xa", "-od", folder, str(port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _listens(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def _pynetdicom_acceptor(status: int | None) -> AsyncIterator[int]:
    """Serve with pynetdicom, which answers with a status, or rejects all where that is None."""
    entity = pynetdicom.AE("PYNETDICOM")
    entity.require_called_aet = status is None
    for abstract, transfer in CONTEXTS:
        entity.add_supported_context(abstract, list(transfer))
    handlers: Any = [(pynetdicom.evt.EVT_C_STORE, lambda event: status)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextlib.asynccontextmanager
async def _aiodicom(window: int) -> AsyncIterator[int]:
    async def keep(request: aiodicom.StoreRequest) -> int:
        await request.dataset.read()
        return aiodicom.Status.SUCCESS

    async with aiodicom.serve(store=keep, host="127.0.0.1", port=0, window=window) as server:
        yield server.port


async def _record_acceptors(folder: str, paths: list[Path]) -> None:
    acceptors = (
        ("dcmtk-storescp", _storescp(folder)),
        ("pynetdicom-stores", _pynetdicom_acceptor(0x0000)),
        ("pynetdicom-warns", _pynetdicom_acceptor(0xB000)),
        ("pynetdicom-refuses", _pynetdicom_acceptor(0xA700)),
        ("pynetdicom-rejects", _pynetdicom_acceptor(None)),
        ("aiodicom", _aiodicom(1)),
        ("aiodicom-window", _aiodicom(8)),
    )
    for name, acceptor in acceptors:
        async with acceptor as to, _tapped(to) as (tap, port):
            with contextlib.suppress(aiodicom.DicomError):
                async with aiodicom.connect(
                    "127.0.0.1", port, contexts=CONTEXTS, window=8
                ) as requestor:
                    await requestor.c_echo()
                    async for _ in requestor.send(paths[:4]):
                        pass
        _keep("requestor", name, bytes(tap.answered))


async def record() -> None:
    """Record all of it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = make_objects(Path(folder))
        await _record_requestors(paths)
        await _record_acceptors(folder, paths)


if __name__ == "__main__":
    asyncio.run(record())
