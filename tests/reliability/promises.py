"""What must hold of a folder after a power cut at any moment of its history."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from aiodicom.storage.object_file import Duplicates
from tests.reliability.disk import Disk, Files
from tests.reliability.recording import Acknowledged, Event, Forgotten

__all__ = ["Findings", "as_it_is", "dataset_in", "examine"]


@dataclass(slots=True)
class Findings:
    """What was found in how many states of a disk.

    Parameters
    ----------
    states : int
        How many were looked at.
    objects : int
        How many objects that had been acknowledged were looked for in them.
    broken : list of str
        What was wrong, once for each path and kind.
    """

    states: int = 0
    objects: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, finding: str) -> None:
        if finding not in self.broken:
            self.broken.append(finding)


def as_it_is(data: bytes) -> bytes:
    return data


def dataset_in(data: bytes) -> bytes:
    """The bytes behind the File Meta Information of a whole file, or else all (PS3.10 7.1)."""
    if data[128:140] != b"DICM\2\0\0\0UL\4\0":
        return data
    return data[144 + int.from_bytes(data[140:144], "little") :]


class _Promises:
    """What has been acknowledged, and what may stand for it."""

    def __init__(self, duplicates: Duplicates, content_of: Callable[[bytes], bytes]) -> None:
        self._duplicates = duplicates
        self._content_of = content_of
        self._contents: dict[bytes, bytes] = {}
        self._first: dict[str, int] = {}
        self._beside: list[Acknowledged] = []

    def content(self, data: bytes) -> bytes:
        found = self._contents.get(data)
        if found is None:
            found = self._contents[data] = self._content_of(data)
        return found

    def note(self, event: Acknowledged | Forgotten, disk: Disk) -> None:
        if isinstance(event, Forgotten):
            below = event.path + "/"
            self._first = {p: n for p, n in self._first.items() if not (p + "/").startswith(below)}
            self._beside = [e for e in self._beside if not (e.path + "/").startswith(below)]
        elif self._duplicates is Duplicates.BOTH:
            self._beside.append(event)
        else:
            self._first[event.path] = max(
                self._version(event, disk), self._first.get(event.path, 0)
            )

    def _version(self, event: Acknowledged, disk: Disk) -> int:
        """The number of an acknowledged object among those that have had its name."""
        if self._duplicates is Duplicates.KEEP:
            return 0
        files = disk.published[event.path]
        same = [n for n, f in enumerate(files) if self.content(f.whole) == event.content]
        return same[-1]

    def check(self, files: Files, disk: Disk, findings: Findings) -> None:
        findings.objects += len(self._first) + len(self._beside)
        for path, first in self._first.items():
            if path not in files:
                findings.add(f"{path} is lost")
            elif self.content(files[path]) not in (
                self.content(file.whole) for file in disk.published[path][first:]
            ):
                findings.add(f"{path} is not the one that was acknowledged")
        for event in self._beside:
            beside = (p for p in files if p == event.path or p.startswith(f"{event.path}~"))
            if event.content not in (self.content(files[path]) for path in beside):
                findings.add(f"one of {event.path} is lost")


def examine(
    folder: str,
    events: Sequence[Event | Acknowledged | Forgotten],
    sent: Collection[bytes],
    duplicates: Duplicates = Duplicates.REPLACE,
    content_of: Callable[[bytes], bytes] = as_it_is,
    limit: int = 4096,
    seed: int = 0,
) -> Findings:
    """Cut the power after each event, in as many ways as there are, or `limit` of them.

    Parameters
    ----------
    folder : str
        What was recorded; empty, and durable, before the first event.
    sent : collection of bytes
        What may stand under a name that a user sees.
    content_of : callable
        Given a file's bytes, returns what was sent of them.
    """
    disk, chance = Disk(folder), random.Random(seed)
    promises, findings = _Promises(duplicates, content_of), Findings()
    allowed = frozenset(sent)
    for event in events:
        if isinstance(event, Event):
            disk.apply(event)
        else:
            promises.note(event, disk)
        for files in disk.states(limit, chance):
            findings.states += 1
            for path, data in files.items():
                if promises.content(data) not in allowed:
                    findings.add(f"{path} is not whole")
            promises.check(files, disk, findings)
    return findings
