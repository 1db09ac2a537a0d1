"""A whole association, from the requestor's side: whatever an acceptor says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import aiodicom
from aiodicom.client.connecting import connect  # by its place: for coverage, from the start
from aiodicom.errors import DicomError
from aiodicom.wire.items import UserIdentity
from aiodicom.wire.part10 import encode_file_meta
from tests.fuzzing.hearing import FIELD, STATUS, messages_in
from tests.fuzzing.inputs import Settings
from tests.fuzzing.peer import LONG, FuzzedPeer, StillLoop, still_loop
from tests.fuzzing.small import small_boundaries
from tests.fuzzing.watching import watched
from tests.objects import building
from tests.peer import CT, uid_value
from tests.wire.feeding import pdus_in

__all__ = ["CONTEXTS", "make_objects", "requestor"]

TIMEOUTS = aiodicom.Timeouts(association=30, dimse=20, network=60, closing=5, connection=30)

MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
PIXELS = 0x7FE00010
MOST_CONNECTIONS = 40

CONTEXTS = (
    ("1.2.840.10008.1.1", (IMPLICIT,)),
    (CT, (EXPLICIT,)),
    (CT, (JPEG,)),
    (CT, (IMPLICIT,)),
    (MR, (IMPLICIT, EXPLICIT)),
)

_C_STORE_RSP = 0x8001


@contextlib.contextmanager
def requestor() -> Iterator[Callable[[bytes], None]]:
    """Make objects; yield what sends some of them to an acceptor that says what an input says."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with (
        still_loop() as loop,
        small_boundaries(),
        tempfile.TemporaryDirectory(dir=memory) as folder,
    ):
        paths = make_objects(Path(folder))
        yield lambda data: _Sending(loop, paths, Settings(data)).check()


def make_objects(folder: Path) -> list[Path]:
    """Write objects of two classes and three transfer syntaxes; one of them is none."""
    made = [(CT, EXPLICIT, 50), (CT, EXPLICIT, 60), (CT, JPEG, 3000), (MR, IMPLICIT, 10)]
    paths = []
    for number, (sop_class, syntax, size) in enumerate(made):
        uid = f"1.2.{number}"
        elements = [(0x00080016, "UI", uid_value(sop_class)), (0x00080018, "UI", uid_value(uid))]
        dataset = building.dataset(IMPLICIT if syntax == IMPLICIT else EXPLICIT, elements)
        if syntax == JPEG:
            dataset += _encapsulated(bytes(size))
        else:
            dataset += building.one(syntax, PIXELS, "OW", bytes(size))
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(encode_file_meta(sop_class, uid, syntax) + dataset)
    paths.append(folder / "none")
    paths[-1].write_bytes(b"no object")
    return paths


def _encapsulated(frame: bytes) -> bytes:
    """Return pixel data of one frame (PS3.5 A.4)."""
    items = (building.one(IMPLICIT, building.ITEM, "", data) for data in (b"", frame))
    end = building.header(IMPLICIT, building.SEQUENCE_END, "", 0)
    return building.header(EXPLICIT, PIXELS, "OB", building.UNDEFINED) + b"".join(items) + end


class _Sending:
    """One requestor, and the acceptor that it calls, over and over where it connects anew."""

    def __init__(self, loop: StillLoop, paths: list[Path], settings: Settings) -> None:
        self._loop, self._settings = loop, settings
        self._level = settings.one_of(logging.WARNING, logging.INFO, logging.WARNING, logging.DEBUG)
        self._paths = settings.one_of(
            paths[:2], paths, paths[2:3], paths[1:4], paths[4:], paths[:1]
        )
        self._contexts = settings.one_of(CONTEXTS, None)
        self._window = settings.one_of(8, 1, 0)
        self._associations = settings.one_of(1, 2)
        self._echoes = settings.one_of(True, False)
        self._stores_one = settings.one_of(False, True)
        self._halts = settings.one_of(False, True)
        self._identity = settings.one_of(None, UserIdentity(1, 1, b"me", b""))
        self._reads = settings.one_of(True, True, False)
        self._ends = settings.one_of(True, True, False)
        self._peers: list[FuzzedPeer] = []
        self._speaking: list[asyncio.Task[None]] = []
        self._stored = 0

    def check(self) -> None:
        """Send, and check what must hold afterwards.

        Raises
        ------
        AssertionError
            Where something of it does not.
        """
        self._loop.connects = self._connect
        with watched(self._loop, self._level):
            self._loop.run_until_complete(self._run())
        assert all(peer.is_gone for peer in self._peers), "a connection is left open"
        for peer in self._peers:
            for _ in pdus_in(bytes(peer.written)):
                pass  # what we send is well-formed, as far as it has been sent
        successes = sum(
            message.number(FIELD) == _C_STORE_RSP and message.number(STATUS) in _successes()
            for message in messages_in(self._settings.stream)
        )
        assert self._stored <= successes * len(self._peers), "stored, and nobody has said so"

    def _connect(self, protocol: asyncio.BaseProtocol) -> FuzzedPeer:
        assert isinstance(protocol, asyncio.BufferedProtocol)
        assert len(self._peers) < MOST_CONNECTIONS, "it does not stop connecting"
        peer = FuzzedPeer(self._loop, protocol, self._settings.chance, reads=self._reads)
        self._peers.append(peer)
        self._speaking.append(self._loop.create_task(self._speak(peer)))
        return peer

    async def _speak(self, peer: FuzzedPeer) -> None:
        await peer.say(self._settings.stream)
        if self._ends:
            await peer.hang_up()

    async def _run(self) -> None:
        async with asyncio.timeout(10 * LONG):
            with contextlib.suppress(DicomError):
                await self._send()
            await asyncio.gather(*self._speaking)
            await asyncio.sleep(2 * TIMEOUTS.closing)

    async def _send(self) -> None:
        requestor = connect(
            "127.0.0.1", 104, contexts=self._contexts, window=self._window,
            user_identity=self._identity, timeouts=TIMEOUTS,
        )  # fmt: skip
        async with requestor:
            if self._echoes:
                await requestor.c_echo()
            if self._stores_one:
                self._count(await requestor.c_store(self._paths[0].read_bytes()))
            results = requestor.send(self._paths, associations=self._associations, halt=self._halts)
            async with contextlib.aclosing(results):
                async for result in results:
                    self._count(result)
        assert requestor._associations._pool.held == 0

    def _count(self, result: aiodicom.StoreResult) -> None:
        assert result.error is None or isinstance(result.error, DicomError)
        self._stored += result.stored


def _successes() -> tuple[int, ...]:
    return (0x0000, *range(0xB000, 0xC000), 0x0001, 0x0107, 0x0116)
