"""A dataset as a DICOM file that can be read and sought in, for libraries that want one."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import AsyncIterator
from typing import IO

import anyio
import anyio.to_thread

from aiodicom.dataset import DatasetStream
from aiodicom.wire.buffers import SLAB_SIZE

__all__ = ["IN_MEMORY", "spooled"]

IN_MEMORY = 1 << 20
"""Bytes of a file that is kept in memory."""

ENOUGH = SLAB_SIZE - (1 << 16)
"""Bytes that are worth a visit to a thread, where the dataset has more than that."""


@contextlib.asynccontextmanager
async def spooled(
    dataset: DatasetStream, head: bytes, memory: int, folder: str | os.PathLike[str] | None
) -> AsyncIterator[IO[bytes]]:
    """Make a file of a dataset; see `StoreRequest.as_file`."""
    dataset.check_unread()
    spool = _Spool(memory, folder)
    try:
        spool.write([head])
        while (block := await dataset.block(ENOUGH)) is not None:
            with block:
                if spool.is_room_for(block.size):
                    spool.write(block.views)
                else:
                    await anyio.to_thread.run_sync(spool.write_to_disk, block.views)
        spool.file.seek(0)
        yield spool.file
    finally:
        if spool.is_on_disk:  # to free a large file takes its time
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(spool.file.close)
        else:
            spool.file.close()


class _Spool:
    """A file in memory that moves to the disk when it becomes too large."""

    def __init__(self, memory: int, folder: str | os.PathLike[str] | None) -> None:
        self.file: IO[bytes] = io.BytesIO()
        self.is_on_disk = False
        self._memory = memory
        self._folder = folder

    def is_room_for(self, size: int) -> bool:
        """Tell whether so many bytes more can be written without blocking."""
        return not self.is_on_disk and self.file.tell() + size <= self._memory

    def write(self, views: list[bytes | bytearray | memoryview]) -> None:
        """Append some bytes."""
        self.file.writelines(views)

    def write_to_disk(self, views: list[bytes | bytearray | memoryview]) -> None:
        """Append some bytes, on the disk from now on; blocks.

        Raises
        ------
        OSError
            Where there is no room.
        """
        if not self.is_on_disk:
            in_memory = self.file
            assert isinstance(in_memory, io.BytesIO)
            self.file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `spooled` does
            self.is_on_disk = True
            self.file.write(in_memory.getbuffer())
        self.file.writelines(views)
        self.file.flush()  # nothing is left for the event loop's thread to write
