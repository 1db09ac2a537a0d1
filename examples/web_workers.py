"""A FastAPI service of several processes that share its DICOM port as they share its HTTP port.

HTTP_PORT=8000 DICOM_PORT=11112 python web_workers.py
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

import aiodicom

FOLDER = os.environ.get("FOLDER", "received")


def listen(port: int) -> socket.socket:
    """Listen on a port that other processes listen on as well: each connection is one's."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("", port))
    listening.listen(128)
    return listening


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Listen for DICOM in each of the processes."""
    sockets = [listen(int(os.environ.get("DICOM_PORT", "11112")))]
    async with aiodicom.serve(store=aiodicom.FileStorage(FOLDER), sockets=sockets):
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/objects")
def list_objects() -> list[str]:
    """What has come, to whichever process: they share nothing but the folder."""
    return sorted(name for name in os.listdir(FOLDER) if not name.startswith("."))


if __name__ == "__main__":
    port = int(os.environ.get("HTTP_PORT", "8000"))
    uvicorn.run("web_workers:app", port=port, workers=2)
