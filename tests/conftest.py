"""Every asynchronous test runs on asyncio and on uvloop, and may not block either."""

from __future__ import annotations

import gc
import linecache
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pydicom  # noqa: F401 - here: to import it blocks whichever event loop needs it first
import pytest
from blockbuster import BlockBuster, BlockBusterFunction, blockbuster_ctx

from aiodicom.seldom import Seldom

CHROMIUM = ("chromium", "chromium-browser")

DCMTK = ("storescu", "dcmsend", "echoscu", "storescp", "dcmrecv", "dcmconv", "dcmdump")
SYSTEMD = ("systemd-analyze",)

BLOCKING = ("open", "writev", "pwritev", "rename", "replace", "link", "unlink", "fsync",
            "fdatasync", "ftruncate", "mkdir", "rmdir", "statvfs", "stat", "lstat")  # fmt: skip
"""Calls that blockbuster may not know; those that it does it guards itself."""


# Its debug mode warns of whatever takes a tenth of a second, on a busy machine anything.
logging.getLogger("asyncio").setLevel(logging.ERROR)


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False, "debug": True}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """Make any blocking call of ours in the event loop's thread an error."""
    with blockbuster_ctx("aiodicom") as blockbuster:
        for name in BLOCKING:
            key = f"os.{name}"
            if key not in blockbuster.functions:
                function = BlockBusterFunction(os, name, scanned_modules=["aiodicom"])
                blockbuster.functions[key] = function
                function.activate()
        yield blockbuster


@pytest.fixture
def every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every line logged, also those that are like one before."""

    def log(self: Seldom, to: logging.Logger, level: int, key: object, *text: object) -> None:
        to.log(level, *text)

    monkeypatch.setattr(Seldom, "log", log)


def pytest_configure() -> None:
    """Prepare the process of all tests."""
    # asyncio in its debug mode looks where each callback comes from, and whether that file has
    # changed since: a third of what tests of an event loop take.
    linecache.checkcache = _is_unchanged
    # What a shell runs in the background ignores interrupts, and so do its children.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_unchanged(filename: str | None = None) -> None:
    """Stand in for `linecache.checkcache`: no file of ours changes while tests run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI"):
        return
    for mark, names in (("dcmtk", DCMTK), ("systemd", SYSTEMD)):
        missing = [name for name in names if shutil.which(name) is None]
        if missing:
            _leave_out(items, mark, f"{mark} is missing: {', '.join(missing)}")
    if not any(shutil.which(name) for name in CHROMIUM):
        _leave_out(items, "chromium", "Chromium is missing")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have no collection of garbage look at ten thousand tests again and again."""
    gc.collect()
    gc.freeze()


def _leave_out(items: list[pytest.Item], marker: str, reason: str) -> None:
    for item in items:
        if marker in item.keywords:
            item.add_marker(pytest.mark.skip(reason=reason))
