"""Objects go to an HTTP object store while they come: one PUT each, streamed.

python object_store.py 11112 https://store.example/bucket
"""

import logging
import sys
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import quote

import httpx

import aiodicom

logger = logging.getLogger("object_store")


class Bucket:
    """A store handler. Success means that the object store has said so."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(timeout=30)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def __call__(self, request: aiodicom.StoreRequest) -> aiodicom.Status:
        """Upload a file; where its sender vanishes reading raises, and the upload breaks off."""

        async def file() -> AsyncIterator[bytes]:
            yield request.file_meta()
            async for chunk in request.dataset:  # a slow store slows this sender, and no other
                yield chunk

        name = quote(request.sop_instance_uid, safe="")  # a peer's text
        try:
            answer = await self._client.put(f"{self._url}/{name}.dcm", content=file())
            answer.raise_for_status()
        except httpx.HTTPError as error:
            logger.warning("%s", error)
            raise aiodicom.Refused(aiodicom.Status.OUT_OF_RESOURCES, "no upload") from error
        return aiodicom.Status.SUCCESS


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    aiodicom.run(store=Bucket(sys.argv[2].rstrip("/")), ae_title="BUCKET", port=int(sys.argv[1]))
