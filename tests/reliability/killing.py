"""A receiver under load that is killed at random moments, and what is found afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.peer import Peer
from tests.processes import Sender, free_port, tries, unfinished
from tests.reliability.ledger import Ledger
from tests.reliability.sending import dataset_of_size, mixed_size

__all__ = ["Campaign"]

ASSOCIATIONS = 24

STUDIES = 5

KEPT = 200
"""Objects in a folder that are read after every kill."""

GONE = (OSError, EOFError, AssertionError)
"""What a sender hears of a receiver that is killed; an A-ABORT where a response is expected."""


class Campaign:
    """Rounds of starting a receiver, storing from many associations, killing, and looking.

    Parameters
    ----------
    base : Path
        Where the two folders are: one as the default layout has it, and one sorted by study.
    seed : int
        What decides on everything but the scheduling.

    Attributes
    ----------
    kills : collections.Counter
        How often who was killed.
    leftovers : int
        The unfinished files that were there after a kill, and gone after the next start.
    wrong : list of str
        What was found.
    """

    def __init__(self, base: Path, seed: int) -> None:
        self.kills: Counter[str] = Counter()
        self.leftovers = 0
        self.wrong: list[str] = []
        self._base = base
        self._chance = random.Random(seed)
        self.ledgers = [Ledger(base / "default", False), Ledger(base / "sorted", True)]
        self._starts = self._versions = 0
        self._running: _Process | None = None

    async def round(self) -> None:
        """Kill once, and look."""
        process = self._running or await self._start()
        stopping = asyncio.Event()
        senders = [
            asyncio.create_task(self._send(process, slot, stopping)) for slot in range(ASSOCIATIONS)
        ]
        await asyncio.sleep(self._chance.uniform(0.05, 0.5))
        kind = self._kill(process)
        self.kills[kind] += 1
        if kind == "one worker":
            await asyncio.sleep(self._chance.uniform(0, 0.2))
        stopping.set()
        await asyncio.gather(*senders)
        if kind != "one worker":
            self._running = None
            await asyncio.to_thread(process.wait_gone)
        await asyncio.to_thread(self._look, process, kind)

    def _look(self, process: _Process, kind: str) -> None:
        ledger = process.ledger
        if kind == "one worker":
            for _ in tries("what the killed worker left is still there"):
                if len(process.workers()) == 2 and not unfinished(ledger.folder):
                    break
        else:
            self.leftovers += len(unfinished(ledger.folder))
        self.wrong += ledger.check()
        self.wrong += process.complaints()
        ledger.prune(KEPT)

    async def _start(self) -> _Process:
        ledger = self.ledgers[self._starts % 2]
        self._running = _Process(self._base, ledger, 1 + self._starts // 2 % 2)
        self._starts += 1
        await asyncio.to_thread(self._running.wait_ready)
        if left := unfinished(ledger.folder):
            self.wrong.append(f"left after a start: {left}")
        return self._running

    def _kill(self, process: _Process) -> str:
        workers = process.workers()
        kind = self._chance.choice(["all", "parent", "one worker"]) if workers else "all"
        if kind == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            victim = process.pid if kind == "parent" else self._chance.choice(workers)
            os.kill(victim, signal.SIGKILL)
        return kind if workers else "the only process"

    async def _send(self, process: _Process, slot: int, stopping: asyncio.Event) -> None:
        try:
            async with Peer(process.port) as peer:
                await peer.associate()
                while not stopping.is_set():
                    await self._store(peer, process.ledger, f"1.2.3.{slot}.")
                await peer.release()
        except TimeoutError:  # nobody is killed slowly
            self.wrong.append(f"sender {slot} has heard nothing")
        except GONE:
            pass

    async def _store(self, peer: Peer, ledger: Ledger, beginning: str) -> None:
        chance, known = self._chance, ledger.uids(beginning)
        self._versions += 1
        is_new = not known or chance.random() < 0.5
        uid = f"{beginning}{self._versions}" if is_new else chance.choice(known)
        study = f"1.2.4.{int(uid.rpartition('.')[2]) % STUDIES}"
        data = dataset_of_size(uid, study, self._versions, mixed_size(chance))
        ledger.sending(uid, study, data)
        status = await peer.store(uid, data)
        if status == 0:
            ledger.stored(uid)
        else:
            self.wrong.append(f"{uid} was answered with {status:#06x}")

    async def end(self) -> None:
        """Kill what still runs; start once more on each folder, and look for leftovers."""
        if self._running is not None:
            os.killpg(self._running.pid, signal.SIGKILL)
            await asyncio.to_thread(self._running.wait_gone)
        for _ in self.ledgers:
            process = await self._start()
            await asyncio.to_thread(process.stop)
            self.wrong += process.ledger.check()


class _Process:
    """A receiver, in a process group of its own."""

    def __init__(self, base: Path, ledger: Ledger, workers: int) -> None:
        self.ledger = ledger
        self.port = free_port()
        self._count = workers
        self._log = base / "log"
        sorting = ("-su", "") if ledger.sorts else ()
        command = (sys.executable, "-m", "aiodicom.storescp", str(self.port), "-ba", "127.0.0.1")
        options = ("-od", str(ledger.folder), "--workers", str(workers), *sorting)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                (*command, *options), stderr=log, start_new_session=True
            )
        self.pid = self._process.pid

    def wait_ready(self) -> None:
        """Wait until it serves: it may listen before it has looked for leftovers."""
        for _ in tries(f"it does not listen: {self._log.read_text()}"):
            with contextlib.suppress(ConnectionRefusedError), Sender(self.port) as sender:
                sender.associate()
                sender.release()
                return

    def workers(self) -> list[int]:
        """The process ids of the workers, where there are several."""
        if self._count == 1:
            return []
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(word) for word in children.read_text().split()]

    def wait_gone(self) -> None:
        """Wait until nothing of the group runs: workers outlive their parent for a moment."""
        self._process.wait()
        for _ in tries("some of it still runs"):
            if not any(map(self._runs, Path("/proc").glob("[0-9]*"))):
                return

    def _runs(self, process: Path) -> bool:
        """Tell whether a process is of the group, and no zombie that nobody has asked for."""
        with contextlib.suppress(OSError):
            state, _, group = (process / "stat").read_text().rpartition(") ")[2].split()[:3]
            return int(group) == self.pid and state not in "ZX"
        return False

    def stop(self) -> None:
        self._process.terminate()
        self.wait_gone()

    def complaints(self) -> list[str]:
        """What is in its log that must not be."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if "Traceback" in line or "bug" in line]
