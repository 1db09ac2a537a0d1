"""An aiohttp service with a DICOM port: GET /senders says who has sent how much.

HTTP_PORT=8000 DICOM_PORT=11112 python aiohttp_service.py
"""

import os
from collections import Counter
from collections.abc import AsyncIterator

from aiohttp import web

import aiodicom

BYTES: web.AppKey[Counter[str]] = web.AppKey("bytes", Counter)


async def receive(app: web.Application) -> AsyncIterator[None]:
    """Listen for DICOM from the start of the web service to its end."""
    storage = aiodicom.FileStorage(os.environ.get("FOLDER", "received"))

    async def store(request: aiodicom.StoreRequest) -> int:
        status = await storage(request)
        if aiodicom.Status.is_success(status):
            app[BYTES][request.association.calling_ae_title] += request.dataset.size
        return status

    port = int(os.environ.get("DICOM_PORT", "11112"))
    async with storage, aiodicom.serve(store=store, ae_title="AIOHTTP", port=port):
        yield


async def senders(request: web.Request) -> web.Response:
    """Bytes of datasets that were stored, by calling AE title."""
    return web.json_response(request.app[BYTES])


def make_app() -> web.Application:
    """Make the service."""
    app = web.Application()
    app[BYTES] = Counter()
    app.router.add_get("/senders", senders)
    app.cleanup_ctx.append(receive)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), port=int(os.environ.get("HTTP_PORT", "8000")))
