"""A Starlette service that looks at objects while they arrive, and keeps none of them.

HTTP_PORT=8000 DICOM_PORT=11112 python starlette_service.py
"""

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import aiodicom

digests: dict[str, str] = {}


async def digest(request: aiodicom.StoreRequest) -> aiodicom.Status:
    """Compute the SHA-256 of a dataset from its chunks: it is never in memory as a whole."""
    if request.sop_instance_uid in digests:  # refused before its dataset has come
        raise aiodicom.Refused(aiodicom.Status.DUPLICATE_SOP_INSTANCE, "known already")
    computed = hashlib.sha256()
    async for chunk in request.dataset:
        computed.update(chunk)
    digests[request.sop_instance_uid] = computed.hexdigest()
    return aiodicom.Status.SUCCESS


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Listen for DICOM as long as the web service runs."""
    port = int(os.environ.get("DICOM_PORT", "11112"))
    async with aiodicom.serve(store=digest, ae_title="STARLETTE", port=port):
        yield


async def list_digests(request: Request) -> JSONResponse:
    """What has come, and its digests."""
    return JSONResponse(digests)


app = Starlette(routes=[Route("/digests", list_digests)], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("HTTP_PORT", "8000")))
