"""The system calls by which the storage changes a folder, in the order of their effects."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

__all__ = ["Acknowledged", "Event", "Forgotten", "Recorder"]

NAMED = ("mkdir", "rmdir", "unlink")
MOVING = ("rename", "link", "symlink")
OF_DESCRIPTOR = ("fdatasync", "fsync", "close")
WRITING = ("write", "writev")


@dataclass(frozen=True, slots=True)
class Event:
    """One system call that has succeeded.

    Parameters
    ----------
    call : str
        Its name in `os`; ``create`` for an `open` that may make a file.
    path : str
        What it was called for, where that is no descriptor.
    target : str
        The new name, of calls that have two.
    descriptor : int
        What it was called for, or what `open` returned.
    data : bytes
        What was written.
    """

    call: str
    path: str = ""
    target: str = ""
    descriptor: int = -1
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """From here on an object must survive: its path, and the bytes that were sent."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Forgotten:
    """From here on nothing need survive below a path: its user removes it."""

    path: str


class Recorder:
    """Records what is done below a folder while it is entered, by any thread.

    A call and its note are one step, so that the order of the notes is that of the effects.

    Parameters
    ----------
    folder : str
        Where. Everything in it must have been made while this recorded.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.events: list[Event | Acknowledged | Forgotten] = []
        self._lock = threading.RLock()
        self._open: set[int] = set()
        self._originals: dict[str, Callable[..., Any]] = {}

    def acknowledge(self, path: str, content: bytes) -> None:
        with self._lock:
            self.events.append(Acknowledged(path, content))

    def forget(self, path: str) -> None:
        with self._lock:
            self.events.append(Forgotten(path))

    def __enter__(self) -> Self:
        self._wrap("open", self._opening)
        for name in NAMED:
            self._wrap(name, self._naming(name))
        for name in MOVING:
            self._wrap(name, self._moving(name))
        for name in OF_DESCRIPTOR:
            self._wrap(name, self._describing(name))
        for name in WRITING:
            self._wrap(name, self._writing(name))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, original in self._originals.items():
            setattr(os, name, original)

    def _wrap(self, name: str, wrapped: Callable[..., Any]) -> None:
        self._originals[name] = getattr(os, name)
        setattr(os, name, wrapped)

    def _is_below(self, path: Any) -> bool:
        return isinstance(path, str) and (path + "/").startswith(self.folder + "/")

    def _opening(self, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        with self._lock:
            descriptor: int = self._originals["open"](path, flags, *args, **kwargs)
            if self._is_below(path):
                self._open.add(descriptor)
                call = "create" if flags & os.O_CREAT else "open"
                self.events.append(Event(call, path, descriptor=descriptor))
        return descriptor

    def _naming(self, name: str) -> Callable[..., Any]:
        def noted(path: Any, *args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self._originals[name](path, *args, **kwargs)
                if self._is_below(path):
                    self.events.append(Event(name, path))

        return noted

    def _moving(self, name: str) -> Callable[..., Any]:
        def noted(path: str, target: str, *args: Any, **kwargs: Any) -> None:
            with self._lock:
                self._originals[name](path, target, *args, **kwargs)
                if self._is_below(target):
                    self.events.append(Event(name, path, target))

        return noted

    def _describing(self, name: str) -> Callable[..., Any]:
        def noted(descriptor: int) -> None:
            with self._lock:
                self._originals[name](descriptor)
                if descriptor in self._open:
                    self.events.append(Event(name, descriptor=descriptor))
                    if name == "close":
                        self._open.discard(descriptor)

        return noted

    def _writing(self, name: str) -> Callable[..., Any]:
        def noted(descriptor: int, data: Any) -> int:
            with self._lock:
                written: int = self._originals[name](descriptor, data)
                if descriptor in self._open:
                    whole = _joined(data)[:written]
                    self.events.append(Event(name, descriptor=descriptor, data=whole))
            return written

        return noted


def _joined(data: bytes | memoryview | Sequence[bytes | memoryview]) -> bytes:
    return bytes(data) if isinstance(data, (bytes, memoryview)) else b"".join(data)
