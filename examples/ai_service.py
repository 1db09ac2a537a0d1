"""An AI service: objects are worked on in other processes, and the event loop stays free.

python ai_service.py 11112
"""

import asyncio
import io
import logging
import multiprocessing
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Self

import pydicom

import aiodicom

logger = logging.getLogger("ai_service")


def infer(file: bytes) -> float:
    """Find out something about an image, at the cost of much processor time."""
    pixels: bytes = pydicom.dcmread(io.BytesIO(file)).PixelData
    return sum(pixels) / len(pixels)


class Inference:
    """A store handler with a pool of processes, which lives as long as the server."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._room = asyncio.Semaphore(2 * processes)  # one that is worked on, and one to come

    async def __aenter__(self) -> Self:
        self._pool = ProcessPoolExecutor(
            self._processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=signal.signal,  # Ctrl-C is for the server, which ends the pool
            initargs=(signal.SIGINT, signal.SIG_IGN),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._pool.shutdown)

    async def __call__(self, request: aiodicom.StoreRequest) -> aiodicom.Status:
        """Answer success when the result is there; who waits for room is not read from."""
        async with self._room:
            file = request.file_meta() + await request.dataset.read()
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._pool, infer, file)
        logger.info("%r: %.1f", request.sop_instance_uid, result)  # %r: it is a peer's text
        return aiodicom.Status.SUCCESS


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    aiodicom.run(store=Inference(processes=2), ae_title="AI", port=int(sys.argv[1]))
