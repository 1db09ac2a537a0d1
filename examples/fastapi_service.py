"""A FastAPI service with a DICOM port: GET /studies lists what was sent to it.

HTTP_PORT=8000 DICOM_PORT=11112 python fastapi_service.py
"""

import asyncio
import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import AsyncIterator

import pydicom
import uvicorn
from fastapi import FastAPI

import aiodicom
from aiodicom.storage.stored import StoredObject

studies: dict[str, set[str]] = defaultdict(set)


async def index(stored: StoredObject) -> None:
    """Note which study an object belongs to; it is on the disk, and success is answered next."""
    wanted = ["StudyInstanceUID"]
    read = await asyncio.to_thread(pydicom.dcmread, stored.path, specific_tags=wanted)
    studies[read.get("StudyInstanceUID", "")].add(stored.sop_instance_uid)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Listen for DICOM as long as the web service runs."""
    storage = aiodicom.FileStorage(os.environ.get("FOLDER", "received"), on_stored=index)
    port = int(os.environ.get("DICOM_PORT", "11112"))
    async with aiodicom.serve(store=storage, ae_title="FASTAPI", port=port) as server:
        app.state.dicom = server
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
