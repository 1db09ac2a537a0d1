"""A receiver beside other tasks, in a task group of anyio's, until Ctrl-C.

python task_group.py 11112
"""

import logging
import signal
import sys
from collections import Counter

import anyio

import aiodicom

logger = logging.getLogger("task_group")
came: Counter[str] = Counter()


async def count(request: aiodicom.StoreRequest) -> aiodicom.Status:
    """Count objects by their SOP class; their datasets are dropped as they come."""
    request.dataset.discard()
    came[request.sop_class_uid] += 1
    return aiodicom.Status.SUCCESS


async def report(seconds: float) -> None:
    """Say now and then what has come."""
    while True:
        await anyio.sleep(seconds)
        logger.info("%d objects of %d classes", came.total(), len(came))


async def main(port: int) -> None:
    """Serve until a signal comes; then let running stores end, and only then cancel the rest."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report, 60)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with aiodicom.serve(store=count, port=port, grace=10) as server:
                logger.info("%s", server.where)
                async for number in signals:
                    logger.info("%s: stopping", number.name)
                    break
            # Here nothing runs any more. Cancelled earlier, the stores would have had no grace.
        logger.info("%d objects", came.total())
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    anyio.run(main, int(sys.argv[1]), backend_options={"use_uvloop": True})
