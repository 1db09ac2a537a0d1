"""System calls that are noted, fail or wait, for tests of what the writers do with them."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

RECORDED = (
    *("open", "writev", "write", "posix_fadvise", "fdatasync", "fsync"),
    *("rename", "link", "unlink"),
)

Calls = list[tuple[str, str]]


def _name(target: Any) -> str:
    """The file name behind a path or a descriptor."""
    path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else target
    return os.path.basename(path)


def record(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Note the system calls from now on, and the file name of each."""
    calls: Calls = []

    def wrap(name: str) -> None:
        original = getattr(os, name)

        def noted(target: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append((name, _name(target)))
            return original(target, *args, **kwargs)

        monkeypatch.setattr(os, name, noted)

    for name in RECORDED:
        wrap(name)
    return calls


def fail(monkeypatch: pytest.MonkeyPatch, call: str, code: int, name: str) -> list[str]:
    """Make a system call fail for the file or folder called `name`; return who was asked for."""
    original = getattr(os, call)
    asked: list[str] = []

    def failing(target: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(_name(target))
        if asked[-1] == name:
            raise OSError(code, os.strerror(code), name)
        return original(target, *args, **kwargs)

    monkeypatch.setattr(os, call, failing)
    return asked


def fail_writers(
    monkeypatch: pytest.MonkeyPatch, call: str, code: int, after: int = 0, path: str = "/secret"
) -> None:
    """Make a writer's system call fail once, `after` successful ones; the error has a path."""
    original = getattr(os, call)
    left = [after]

    def failing(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread().name.startswith("aiodicom-writer"):
            left[0] -= 1
            if left[0] == -1:
                raise OSError(code, os.strerror(code), path)
        return original(*args, **kwargs)

    monkeypatch.setattr(os, call, failing)


class Gate:
    """Holds the writers before a system call, until it is opened.

    Parameters
    ----------
    call : str
        Which one, in `os`.
    name : str
        Of which file or folder; by default of any.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, call: str = "writev", name: str = ""
    ) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        original = getattr(os, call)

        def waiting(target: Any, *args: Any, **kwargs: Any) -> Any:
            is_writer = threading.current_thread().name.startswith("aiodicom-writer")
            if is_writer and (not name or _name(target) == name):
                self.reached.set()
                assert self.opened.wait(20)
            return original(target, *args, **kwargs)

        monkeypatch.setattr(os, call, waiting)

    async def wait_reached(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, 20)
