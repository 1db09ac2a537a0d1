"""What was stored, what the log says, what events tell and what senders saw: one and the same."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aiodicom import AssociationInfo, AssociationRejected, FileStorage, Refused, StoreRequest
from aiodicom.monitor import Monitor
from aiodicom.monitor.json_log import JsonLog
from tests.monitor.agreement import Totals, check, lines_of
from tests.monitor.load import FAILING, REFUSED, UNWANTED, Load
from tests.serving import serving
from tests.workers.test_workers import program

ASSOCIATIONS = 60

PROGRAM = f"""
import collections, json, sys
from aiodicom import AssociationRejected, FileStorage, Refused
from aiodicom.monitor import Monitor
from aiodicom.monitor.json_log import JsonLog
from tests.monitor.agreement import Totals

class Kept(Totals):
    async def __aenter__(self):
        pass

    async def __aexit__(self, *exc_info):
        open(f"totals-{{os.getpid()}}", "w").write(json.dumps(self.counts))

storage = FileStorage("received", durability="none")
monitor = Monitor()

class Store:
    async def __aenter__(self):
        await storage.__aenter__()

    async def __aexit__(self, *exc_info):
        await storage.__aexit__(*exc_info)

    async def __call__(self, request):
        if request.sop_instance_uid.startswith("{REFUSED}"):
            raise Refused(0xA700, "no room")
        if request.sop_instance_uid.startswith("{FAILING}"):
            raise RuntimeError
        return await storage(request)

async def authorize(info):
    if info.calling_ae_title == "UNWANTED":
        raise AssociationRejected("not you", 1, 1, 3)

aiodicom.run(port=port, host="127.0.0.1", store=Store(), authorize=authorize, workers=2, window=8,
             watchers=[JsonLog("lines"), Kept(), monitor])
open("monitored", "w").write(json.dumps(monitor.snapshot()["totals"]))
"""


def break_disk(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Have every fifth write of objects fail; count those that did."""
    failed: Counter[int] = Counter()
    writev, calls = os.writev, itertools.count(1)

    def failing(*args: Any) -> int:
        if threading.current_thread().name.startswith("aiodicom-writer") and not next(calls) % 5:
            failed[errno.EIO] += 1
            raise OSError(errno.EIO, "injected")
        return writev(*args)

    monkeypatch.setattr(os, "writev", failing)
    return failed


@pytest.mark.parametrize("seed", [1, 2])
async def test_one_process_whose_disk_fails(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, totals, monitor = break_disk(monkeypatch), Totals(), Monitor()
    folder, log = tmp_path / "received", tmp_path / "log"
    storage = FileStorage(folder)

    async def store(request: StoreRequest) -> int:
        if request.sop_instance_uid.startswith(REFUSED):
            raise Refused(0xA700, "no room")
        if request.sop_instance_uid.startswith(FAILING):
            raise RuntimeError
        return await storage(request)

    async def authorize(info: AssociationInfo) -> None:
        if info.calling_ae_title == UNWANTED.calling_ae_title:
            raise AssociationRejected("not you", 1, 1, 3)

    watchers = [JsonLog(log), totals, monitor]
    settings = {"store": store, "authorize": authorize, "window": 8, "watchers": watchers}
    async with storage, serving(**settings) as server:
        seen = await Load(server.port, seed).run(ASSOCIATIONS)
    monitored = monitor.snapshot()["totals"]
    await asyncio.to_thread(check, folder, log, totals.counts, seen, monitored)
    assert failed
    objects = [line for line in await asyncio.to_thread(lines_of, log) if "outcome" in line]
    assert {o["outcome"] for o in objects} == {"success", "failure", "none"}
    assert {o["status"] for o in objects} >= {0, None, 0xA700, 0xC211}


def test_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    with program(tmp_path, PROGRAM) as receiver:
        seen = asyncio.run(Load(receiver.port, 3).run(ASSOCIATIONS))
        assert receiver.stop() == 0
    counted = [Counter(json.loads(p.read_text())) for p in tmp_path.glob("totals-*")]
    assert len(counted) == 2
    assert all(each["AssociationEnded"] for each in counted)
    monitored = json.loads((tmp_path / "monitored").read_text())
    check(tmp_path / "received", tmp_path / "lines", sum(counted, Counter()), seen, monitored)
