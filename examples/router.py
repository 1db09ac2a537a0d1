"""A router: whatever comes is sent on while it comes, and the next one's answer is the answer.

python router.py 11112 NEXT-HOST NEXT-PORT NEXT-AE-TITLE
"""

import logging
import sys

import aiodicom

logger = logging.getLogger("router")


class Router:
    """A store handler that stores nothing: slow receivers slow their senders, and no memory."""

    def __init__(self, host: str, port: int, ae_title: str) -> None:
        self._host, self._port, self._ae_title = host, port, ae_title

    async def __call__(self, request: aiodicom.StoreRequest) -> int:
        """Send an object on, byte for byte, under the AE title of whoever sends it."""
        syntax = request.transfer_syntax_uid
        instance = aiodicom.ObjectHeader(
            "", request.sop_class_uid, request.sop_instance_uid, syntax
        )
        try:
            async with aiodicom.connect(
                self._host,
                self._port,
                called_ae_title=self._ae_title,
                calling_ae_title=request.association.calling_ae_title,
                contexts=[(request.sop_class_uid, [syntax])],
            ) as onward:
                result = await onward.c_store(request.dataset, instance=instance)
        except (aiodicom.DicomError, OSError) as error:
            # %r: it is a peer's text, and may have lines of its own.
            logger.warning("%r was not sent on: %s", request.sop_instance_uid, error)
            raise aiodicom.Refused(aiodicom.Status.OUT_OF_RESOURCES, "not sent on") from error
        logger.info("%r: %s", result.sop_instance_uid, result.reason)
        return aiodicom.Status.UNABLE_TO_PROCESS if result.status is None else result.status


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    port, next_host, next_port, next_ae_title = sys.argv[1:]
    router = Router(next_host, int(next_port), next_ae_title)
    aiodicom.run(store=router, ae_title="ROUTER", port=int(port))
