"""Collector: a store handler that keeps what comes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodicom.requests import AssociationInfo, StoreRequest
from aiodicom.wire.dimse import Status

if TYPE_CHECKING:
    from pydicom import FileDataset

__all__ = ["CollectedObject", "Collector"]


@dataclass(frozen=True, slots=True)
class CollectedObject:
    """An object that has come, whole.

    Parameters
    ----------
    association : AssociationInfo
        Who sent it.
    sop_class_uid, sop_instance_uid : str
        The command's, without padding.
    transfer_syntax_uid : str
        How its dataset is encoded.
    data : bytes
        The dataset, byte for byte as it was sent.
    file : bytes
        The same as a DICOM file: preamble and File Meta Information before it (PS3.10 7.1).
    """

    association: AssociationInfo
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: bytes
    file: bytes

    @property
    def dataset(self) -> FileDataset:
        """The dataset, decoded by pydicom anew each time."""
        from pydicom import dcmread

        return dcmread(io.BytesIO(self.file))


class Collector:
    """A store handler that keeps every object in memory, for a test to look at.

    It may be waited for, and looked at, in any thread and any event loop.

    Parameters
    ----------
    status : int
        What each object is answered with.

    Attributes
    ----------
    objects : list of CollectedObject
        What has come, in the order of its ends.
    """

    def __init__(self, status: int = Status.SUCCESS) -> None:
        self.objects: list[CollectedObject] = []
        self._status = status
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, concurrent.futures.Future[None]]] = []

    async def __call__(self, request: StoreRequest) -> int:
        """Keep an object."""
        data = await request.dataset.read()
        self._add(
            CollectedObject(
                request.association,
                request.sop_class_uid,
                request.sop_instance_uid,
                request.transfer_syntax_uid,
                data,
                request.file_meta() + data,
            )
        )
        return self._status

    def __len__(self) -> int:
        return len(self.objects)

    async def wait(self, count: int = 1, timeout: float = 10) -> list[CollectedObject]:
        """Wait until at least that many objects have come since the beginning; return all.

        Parameters
        ----------
        count : int
            How many objects.
        timeout : float
            Seconds.

        Raises
        ------
        TimeoutError
            Where fewer have come by then; says how many.
        """
        enough = self._when(count)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(enough)
        except TimeoutError:
            raise self._too_few(count, timeout) from None
        return list(self.objects)

    def wait_blocking(self, count: int = 1, timeout: float = 10) -> list[CollectedObject]:
        """Wait as `wait` does, in a thread without an event loop.

        Raises
        ------
        TimeoutError
            Where fewer have come by then; says how many.
        """
        try:
            self._when(count).result(timeout)
        except TimeoutError:
            raise self._too_few(count, timeout) from None
        return list(self.objects)

    def _add(self, one: CollectedObject) -> None:
        with self._lock:
            self.objects.append(one)
            for count, enough in self._waiting:
                if count <= len(self.objects) and enough.set_running_or_notify_cancel():
                    enough.set_result(None)
            self._waiting = [each for each in self._waiting if not each[1].done()]

    def _when(self, count: int) -> concurrent.futures.Future[None]:
        enough: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            if count <= len(self.objects):
                enough.set_result(None)
            else:
                self._waiting.append((count, enough))
        return enough

    def _too_few(self, count: int, timeout: float) -> TimeoutError:
        return TimeoutError(f"{len(self.objects)} of {count} objects have come in {timeout} s")
