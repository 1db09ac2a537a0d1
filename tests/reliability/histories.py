"""Short histories of a folder, by the writers' own steps, one after the other."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from aiodicom.storage.commit import Durability, Job, perform
from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.object_file import Duplicates, ObjectFile
from tests.reliability.promises import Findings, examine
from tests.reliability.recording import Recorder

__all__ = ["History", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """An object on its way.

    Parameters
    ----------
    name : str
        Its path below the storage's folder.
    content : bytes
        What is written; by default something that has its name in it.
    parts : int
        In how many jobs it comes.
    """

    name: str
    content: bytes = b""
    parts: int = 1

    @property
    def data(self) -> bytes:
        return self.content or self.name.encode() * 3


class History:
    """A folder, several processes that store into it, and what was recorded of them.

    Parameters
    ----------
    base : Path
        A folder that is durable; what is stored goes to ``received`` in it.
    """

    def __init__(
        self,
        base: Path,
        duplicates: Duplicates = Duplicates.REPLACE,
        durability: Durability = Durability.DURABLE,
    ) -> None:
        self.base = os.fspath(base)
        self.root = f"{self.base}/received"
        self.recorder = Recorder(self.base)
        self.errors: list[Exception] = []
        self._duplicates, self._durability = duplicates, durability
        self._numbers = itertools.count(1)
        self._trees: dict[int, FolderTree] = {}
        self._contents: set[bytes] = set()

    def tree(self, process: int) -> FolderTree:
        """The folders as one of the processes knows them."""
        return self._trees.setdefault(process, FolderTree(self.root))

    def batch(self, *sent: Sent, process: int = 1) -> None:
        """Store some objects together; what is said to be stored is acknowledged."""
        files = [self.begin(each, process) for each in sent]
        self.finish(*zip(sent, files, strict=True))

    def begin(self, sent: Sent, process: int = 1) -> ObjectFile:
        """Write all parts of an object but the last one, each as a batch of its own."""
        folder, _, name = f"{self.root}/{sent.name}".rpartition("/")
        temporary = f".aiodicom-{process:08}-{next(self._numbers)}.part"
        file = ObjectFile(self.tree(process), name, temporary, self._duplicates)
        file.folder = folder
        self._contents.add(sent.data)
        for part in _parts(sent)[:-1]:
            perform([Job(file, [part])], self._durability)
        return file

    def finish(self, *begun: tuple[Sent, ObjectFile]) -> None:
        """Write the last parts of objects together."""
        jobs = [Job(file, [_parts(sent)[-1]], is_last=True) for sent, file in begun]
        perform(jobs, self._durability)
        for (sent, _), job in zip(begun, jobs, strict=True):
            if job.error is None:
                self.recorder.acknowledge(f"{self.root}/{sent.name}", sent.data)
            else:
                self.errors.append(job.error)

    def remove(self, folder: str) -> None:
        """Remove a folder, as its user does."""
        path = f"{self.root}/{folder}" if folder else self.root
        self.recorder.forget(path)  # before: what is half removed was not to survive
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")
        os.rmdir(path)

    def examine(self, limit: int = 4096, seed: int = 0) -> Findings:
        """Cut the power everywhere."""
        events = self.recorder.events
        return examine(self.base, events, self._contents, self._duplicates, limit=limit, seed=seed)


def _parts(sent: Sent) -> list[bytes]:
    size = -(-len(sent.data) // sent.parts)
    return [sent.data[start : start + size] for start in range(0, len(sent.data), size)]
