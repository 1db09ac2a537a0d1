"""How a server is stopped: under load, hurriedly, while it starts, and by too many signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

import aiodicom
from aiodicom.wire.dimse import Status
from aiodicom.wire.pdu import Abort
from tests.peer import Peer, ct_dataset, store_pdus
from tests.processes import PATIENCE, Receiver, Sender, dataset_of, receiving, tries, visible
from tests.serving import Gate, Keeper, happens, serving, until
from tests.watched import Heard
from tests.workers.test_workers import STUCK, program, workers_of

UID = "1.2.3"

# A moment for those who come and go -------------------------------------------------------------


@contextlib.asynccontextmanager
async def stopping(server: aiodicom.Server, grace: float = 10) -> AsyncIterator[None]:
    """Have a server stop while the body runs, and wait until it has."""
    task = asyncio.ensure_future(server.stop(grace))
    await server.wait_stopped()
    try:
        yield
    finally:
        await task


async def test_newcomer_is_served_and_may_leave() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        async with stopping(server):
            assert await peer.store(UID) == Status.SUCCESS
            await peer.release()
            await peer.half_close()


async def test_connection_without_an_association_is_served() -> None:
    async with serving() as server, Peer(server.port) as peer:
        await until(lambda: bool(server._connections.made))
        async with stopping(server):
            await peer.associate()
            assert await peer.echo() == Status.SUCCESS
            await peer.release()
            await peer.half_close()


async def test_sender_without_a_pause_is_aborted_between_messages() -> None:
    keeper, stored = Keeper(), 0
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        async with stopping(server, grace=0.4):
            with contextlib.suppress(AssertionError):  # an A-ABORT instead of a response
                while True:
                    assert await peer.store(f"1.2.{stored}") == Status.SUCCESS
                    stored += 1
            await peer.half_close()
    assert len(keeper.requests) - stored in (0, 1)
    assert stored > 0


# Less time than at first ------------------------------------------------------------------------


async def test_second_stop_may_shorten_the_grace() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus(UID))
        await happens(gate.entered)
        async with stopping(server, grace=1000):
            second = asyncio.ensure_future(server.stop(grace=0))
            await peer.aborted()
            await peer.half_close()
            await second
    assert gate.cancelled


async def test_second_stop_does_not_lengthen_the_grace() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus(UID))
        await happens(gate.entered)
        async with stopping(server, grace=0.1):
            second = asyncio.ensure_future(server.stop(grace=1000))
            await peer.aborted()
            await peer.half_close()
            await second


class Stubborn:
    """A handler that goes on when it is cancelled, until it may end."""

    def __init__(self) -> None:
        self.entered, self.cancelled, self.may_end = (asyncio.Event() for _ in range(3))
        self.is_left = False

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *exc_info: object) -> None:
        self.is_left = True

    async def __call__(self, request: aiodicom.StoreRequest) -> int:
        self.entered.set()
        try:
            return len(await request.dataset.read())
        finally:
            self.cancelled.set()
            await happens(self.may_end)


async def test_stop_that_is_cancelled_while_it_aborts_ends_all_the_same() -> None:
    stubborn, heard = Stubborn(), Heard()
    settings = {"store": stubborn, "watchers": [heard]}
    async with serving(**settings) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store(UID)
        await happens(stubborn.entered)
        stop = asyncio.create_task(server.stop(0))
        await happens(stubborn.cancelled)
        stop.cancel()
        await asyncio.sleep(0)
        stubborn.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert not server._connections.made
        assert stubborn.is_left
        assert heard.connections() == 1


async def test_hurry_before_the_stop_leaves_no_grace() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus(UID))
        await happens(gate.entered)
        server.hurry()
        async with stopping(server, grace=1000):
            await peer.aborted()
            await peer.half_close()


# While it starts --------------------------------------------------------------------------------


class SlowStart:
    """A handler that takes its time to be entered."""

    def __init__(self) -> None:
        self.entering, self.may_go = asyncio.Event(), asyncio.Event()
        self.events: list[str] = []

    async def __aenter__(self) -> None:
        self.entering.set()
        await self.may_go.wait()
        self.events.append("entered")

    async def __aexit__(self, *exc_info: object) -> None:
        self.events.append("left")

    async def __call__(self, request: object) -> int:
        return Status.SUCCESS


async def test_stop_during_the_start_ends_the_start() -> None:
    echo = SlowStart()
    server = aiodicom.serve(echo=echo, host="127.0.0.1", port=0)
    start = asyncio.ensure_future(server.start())
    await happens(echo.entering)
    stop = asyncio.ensure_future(server.stop())
    await server.wait_stopped()
    echo.may_go.set()
    with pytest.raises(RuntimeError, match="stopped while it started"):
        await start
    await stop
    assert echo.events == ["entered", "left"]
    assert server.addresses == []


async def test_hurry_during_the_start_does_not_wait_for_it() -> None:
    echo = SlowStart()
    server = aiodicom.serve(echo=echo, host="127.0.0.1", port=0)
    start = asyncio.ensure_future(server.start())
    await happens(echo.entering)
    server.hurry()
    with pytest.raises(RuntimeError, match="stopped while it started"):
        await start
    await server.stop()
    assert (echo.events, server.addresses) == ([], [])


async def test_cancelled_start_leaves_what_it_has_entered(tmp_path: Path) -> None:
    storage, echo = aiodicom.FileStorage(tmp_path), SlowStart()
    with socket.create_server(("127.0.0.1", 0)) as given:
        server = aiodicom.serve(store=storage, echo=echo, sockets=[given])
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().create_task(cancel_when(echo.entering, scope))
            await server.start()
        assert scope.cancelled_caught
        assert os.listdir(tmp_path) == []  # its lock as well
        assert given.fileno() == -1


async def cancel_when(event: asyncio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


# Handlers that fail -------------------------------------------------------------------------------


class FailingEnd(Gate):
    """A handler that cannot be left."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *exc_info: object) -> None:
        raise KeyError("end")


async def test_handler_that_cannot_be_left_ends_every_stop() -> None:
    server = aiodicom.serve(store=FailingEnd(), host="127.0.0.1", port=0)
    await server.start()
    async with asyncio.timeout(PATIENCE):
        ends = await asyncio.gather(server.stop(), server.stop(), return_exceptions=True)
    assert [type(end) for end in ends] == [KeyError, type(None)]


# Signals ----------------------------------------------------------------------------------------

IMPATIENT = "\nimport aiodicom.workers.signals\naiodicom.workers.signals.ECHO = 0"


@contextlib.contextmanager
def storing(folder: Path, *options: str) -> Iterator[Receiver]:
    with receiving("storescp", "-v", "-od", "received", *options, folder=folder) as receiver:
        receiver.wait_for_line("I: Listening on port")
        yield receiver


class Load:
    """Senders that keep their associations, and send over them without a pause."""

    def __init__(self, port: int, count: int) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self.ends: list[object] = []
        self._port = port
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        size = (1_000, 60_000, 600_000)[number % 3]
        with Sender(self._port) as sender:
            sender.associate()
            for count in range(100_000):
                uid = f"1.2.{number}.{count}"
                data = ct_dataset(uid, bytes([number]) * size)
                try:
                    sender.send(store_pdus(uid, data))
                    pdu = sender.receive()
                    if isinstance(pdu, Abort):
                        self.ends.append("A-ABORT")
                        return
                except (OSError, EOFError) as error:
                    self.ends.append(error)
                    return
                self.acknowledged[f"CT.{uid}"] = data

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)


def loaded(receiver: Receiver) -> Load:
    load = Load(receiver.port, 16)
    for _ in tries("no load"):
        if len(load.acknowledged) > 100:
            break
    return load


def check(load: Load, folder: Path) -> None:
    """Check what senders saw, and that all that was acknowledged to them is there."""
    load.wait()
    assert load.ends == ["A-ABORT"] * 16
    stored = visible(folder)
    assert set(load.acknowledged) <= set(stored)
    for name, data in load.acknowledged.items():
        assert dataset_of(folder / name) == data
    assert len(stored) <= len(load.acknowledged) + 16


@pytest.mark.parametrize("workers", ["1", "2"])
def test_signal_under_load_loses_nothing_acknowledged(tmp_path: Path, workers: str) -> None:
    with storing(tmp_path, "--workers", workers, "--grace", "3") as receiver:
        load = loaded(receiver)
        told = time.monotonic()
        assert receiver.stop() == 0
        assert time.monotonic() - told < 3 + 5
        check(load, tmp_path / "received")


@pytest.mark.parametrize("workers", [1, 2])
def test_second_signal_under_load_loses_nothing_acknowledged(tmp_path: Path, workers: int) -> None:
    text = f"""
    import aiodicom.workers.signals
    aiodicom.workers.signals.ECHO = 0
    storage = aiodicom.FileStorage("received")
    aiodicom.run(store=storage, port=port, workers={workers}, grace=1000)
    """
    with program(tmp_path, text) as receiver:
        load = loaded(receiver)
        receiver.process.terminate()
        receiver.wait_for_line("INFO: Stopping: SIGTERM")
        assert receiver.stop() == 0
        assert "WARNING: Hurrying: SIGTERM again" in receiver.lines
        check(load, tmp_path / "received")


def test_second_signal_aborts_what_still_runs(tmp_path: Path) -> None:
    serving = "\naiodicom.run(store=Store(), port=port, grace=1000)"
    with program(tmp_path, STUCK + IMPATIENT + serving) as receiver, Sender(receiver.port) as it:
        it.associate()
        it.send(store_pdus(UID))
        receiver.wait_for_line("INFO: Stuck")
        receiver.process.terminate()
        receiver.wait_for_line("INFO: Stopping: SIGTERM")
        receiver.process.send_signal(signal.SIGINT)
        assert isinstance(it.receive(), Abort)
        it.socket.close()
        assert receiver.process.wait(PATIENCE) == 0
        assert receiver.lines[-1] == "WARNING: Hurrying: SIGINT again"


@pytest.mark.parametrize("workers", [1, 2])
def test_third_signal_ends_the_process(tmp_path: Path, workers: int) -> None:
    text = f"""
    class Store:
        async def __aenter__(self): pass
        async def __aexit__(self, *exc_info):
            logging.info("Never")
            await asyncio.Event().wait()
    import aiodicom.workers.signals
    aiodicom.workers.signals.ECHO = 0
    aiodicom.run(store=Store(), port=port, workers={workers})
    """
    with program(tmp_path, text) as receiver:
        receiver.process.terminate()
        receiver.wait_for_line("INFO: Never")
        receiver.process.terminate()
        receiver.wait_for_line("WARNING: Hurrying: SIGTERM again")
        assert receiver.stop() == -signal.SIGTERM


def test_signal_while_it_starts_ends_it_when_it_has_started(tmp_path: Path) -> None:
    text = """
    class Store:
        async def __aenter__(self):
            logging.info("Listening on port, almost")
            await asyncio.sleep(0.3)
        async def __aexit__(self, *exc_info):
            logging.info("left")
    aiodicom.run(store=Store(), port=port)
    """
    with program(tmp_path, text) as receiver:
        assert receiver.stop() == 0
        assert receiver.lines[-1] == "INFO: left"


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        *(("1", signal.SIGTERM), ("2", signal.SIGINT)),
        *(("1", signal.SIGHUP), ("2", signal.SIGHUP)),
    ],
)
def test_signals_that_keep_coming_do_not_change_the_exit_code(
    tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    with storing(tmp_path, "--workers", workers) as receiver:
        receiver.process.terminate()
        for _ in tries("it does not end"):  # one after the other, until there is nobody
            if receiver.process.poll() is not None:
                break
            receiver.process.send_signal(number)
        assert receiver.process.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_hang_up_does_not_end_it_and_is_said(tmp_path: Path, workers: str) -> None:
    with storing(tmp_path, "--workers", workers) as receiver, Sender(receiver.port) as sender:
        sender.associate()
        receiver.process.send_signal(signal.SIGHUP)
        receiver.wait_for_line("I: Reloading: there is nothing to be read again")
        assert sender.store(UID) == Status.SUCCESS
        sender.release()
        sender.socket.close()
        assert receiver.stop() == 0


RELOADING = """
class Store:
    times = 0
    async def __call__(self, request): return 0xA700 + self.times
    async def reload(self):
        self.times += 1
        return f"rules {self.times}"
aiodicom.run(store=Store(), port=port, workers=2)
"""


def test_worker_that_is_forked_after_a_hang_up_has_read_again(tmp_path: Path) -> None:
    with program(tmp_path, RELOADING) as receiver:
        receiver.process.send_signal(signal.SIGHUP)
        for _ in tries("not both have read"):
            if receiver.lines.count("INFO: Reloaded: rules 1") == 2:
                break
        os.kill(workers_of(receiver)[0], signal.SIGKILL)
        for _ in tries("the new one has not read"):
            if receiver.lines.count("INFO: Reloaded: rules 1") == 3:
                break
        with Sender(receiver.port) as sender:
            sender.associate()
            assert sender.store(UID) == 0xA701


def test_process_1_takes_in_what_commands_leave_behind(tmp_path: Path) -> None:
    text = """
    import ctypes, subprocess, aiodicom.workers.parent
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become ours
    aiodicom.workers.parent.INIT = os.getpid()
    def leave_behind():
        command = ("sh", "-c", "sleep 0.1 & echo $!")
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        logging.info("orphan %s", done.stdout.strip())
    async def store(request):
        request.dataset.discard()
        await asyncio.to_thread(leave_behind)
        return 0
    aiodicom.run(store=store, port=port, workers=2)
    """
    with program(tmp_path, text) as receiver:
        with Sender(receiver.port) as sender:
            sender.associate()
            assert sender.store(UID) == Status.SUCCESS
        (pid,) = re.findall(r"orphan (\d+)", receiver.log)
        for _ in tries("it is a zombie, or ours for ever"):
            if not Path(f"/proc/{pid}").exists():
                break
        assert len(workers_of(receiver)) == 2
        assert receiver.stop() == 0
