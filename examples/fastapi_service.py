"""A FastAPI service with a DICOM port: GET /studies lists what was sent to it.

HTTP_PORT=8000 DICOM_PORT=11112 python fastapi_service.py
"""

import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

import aiodicom

storage = aiodicom.FileStorage(os.environ.get("FOLDER", "received"))
studies: dict[str, set[str]] = defaultdict(set)


async def store(request: aiodicom.StoreRequest) -> int:
    """Store an object, and note which study it belongs to once it is on the disk."""
    seen = await request.peek("StudyInstanceUID")  # its pixels have not come yet
    status = await storage(request)
    if aiodicom.Status.is_success(status):
        studies[seen.get("StudyInstanceUID", "")].add(request.sop_instance_uid)
    return status


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Listen for DICOM as long as the web service runs."""
    port = int(os.environ.get("DICOM_PORT", "11112"))
    serving = aiodicom.serve(store=store, ae_title="FASTAPI", port=port)
    async with storage, serving as app.state.dicom:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/studies")
async def list_studies() -> dict[str, list[str]]:
    """The studies that have come, and their objects."""
    return {study: sorted(objects) for study, objects in studies.items()}


@app.get("/associations")
async def count_associations() -> int:
    """How many are sending right now."""
    dicom: aiodicom.Server = app.state.dicom
    return dicom.associations


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvicorn.run(app, port=int(os.environ.get("HTTP_PORT", "8000")))
