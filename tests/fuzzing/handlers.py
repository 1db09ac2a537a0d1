"""What an acceptor that is fuzzed does with objects, and what must be true of them afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Literal, Protocol

from aiodicom import FileStorage, Refused, Status, StoreRequest
from aiodicom.storage.commit import Durability, Job, perform
from aiodicom.storage.schemes import Layout
from aiodicom.storage.sorting import Sorting, by_series_date, by_study_uid
from aiodicom.storage.writers import Writers
from aiodicom.wire.part10 import FileMeta

__all__ = ["Folder", "Keeper", "Kept", "Refusing"]


class Kept(Protocol):
    """A store handler, and the datasets of the objects that it has kept."""

    async def __call__(self, request: StoreRequest) -> int: ...

    def datasets(self) -> list[bytes]:
        """Return them, and forget them."""


class Keeper:
    """Keeps objects in memory; reads block by block, as slowly as it is told to."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._kept: list[bytes] = []

    async def __call__(self, request: StoreRequest) -> int:
        data = b""
        while (block := await request.dataset.block(300)) is not None:
            with block:
                await asyncio.sleep(self._pause)
                data += bytes(block)
        self._kept.append(data)
        return Status.SUCCESS

    def datasets(self) -> list[bytes]:
        kept, self._kept = self._kept, []
        return kept


class Refusing:
    """Refuses objects, some of them before their datasets have come, and drops the others."""

    def __init__(self) -> None:
        self._count = 0

    async def __call__(self, request: StoreRequest) -> int:
        self._count += 1
        if self._count % 3 == 0:
            raise Refused(Status.OUT_OF_RESOURCES, "no room")
        if self._count % 3 == 1:
            await request.dataset.block(10)
            return Status.UNABLE_TO_PROCESS
        request.dataset.discard()
        return Status.DATASET_DOES_NOT_MATCH_WARNING

    def datasets(self) -> list[bytes]:
        self._count = 0
        return []


class _WritersAtOnce(Writers):
    """Does every job in the loop, so that an input does the same each time."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = [threading.current_thread()]  # there is one, for `abandon`

    async def stop(self) -> None:
        assert not self._outstanding

    def _submit(self, job: Job) -> None:
        job.file.busy = True
        self._outstanding += 1
        asyncio.get_running_loop().call_soon(self._do, job)

    def _do(self, job: Job) -> None:
        perform([job], Durability.NONE)
        self._finished.append(job)
        self._collect()


_Duplicates = Literal["replace", "keep", "both", "refuse"]
_Mismatch = Literal["refuse", "warn"]


class Folder(FileStorage):
    """A `FileStorage` in a folder of its own, in memory where the system has that."""

    def __init__(
        self,
        above: str,
        *,
        duplicates: _Duplicates,
        mismatch: _Mismatch,
        sorting: Sorting | None = None,
    ) -> None:
        folder = tempfile.mkdtemp(dir=above)
        layout = None if sorting is None else Layout(sorting=sorting)
        super().__init__(
            folder, durability="none", duplicates=duplicates, mismatch=mismatch, layout=layout
        )
        self._writers = _WritersAtOnce(Durability.NONE)

    def datasets(self) -> list[bytes]:
        """Return what is in the folder, and remove it; nothing of it may be unfinished."""
        datasets = []
        for entry in list(os.scandir(self.folder)):
            if entry.name.endswith(".lock"):
                continue
            if entry.is_dir():
                for folder, _, names in os.walk(entry.path):
                    datasets += [_dataset(f"{folder}/{name}") for name in names]
                shutil.rmtree(entry.path)
            else:
                datasets.append(_dataset(entry.path))
                os.unlink(entry.path)
        return datasets


def _dataset(path: str) -> bytes:
    assert not path.endswith(".part"), f"something unfinished is left: {path}"
    with open(path, "rb") as file:
        data = file.read()
    return data[FileMeta.decode(data)[1] :]


@contextlib.contextmanager
def folders() -> Iterator[list[Folder]]:
    """Make storages of all kinds, all of them in one folder, in which there is nothing else."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.path.isdir(memory) else None) as above:
        kinds: list[tuple[_Duplicates, _Mismatch]] = [
            ("replace", "refuse"),
            ("both", "warn"),
            ("keep", "refuse"),
            ("refuse", "warn"),
        ]
        made = [Folder(above, duplicates=d, mismatch=m) for d, m in kinds]
        made += [
            Folder(above, duplicates="replace", mismatch="warn", sorting=sorting)
            for sorting in (by_study_uid("X"), by_study_uid(), by_series_date())
        ]
        yield made
        expected = {os.path.basename(storage.folder) for storage in made}
        assert set(os.listdir(above)) == expected, "something was written beside the folders"
