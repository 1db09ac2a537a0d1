import asyncio
import io

import pydicom

import aiodicom


async def store(request: aiodicom.StoreRequest) -> int:
    file = io.BytesIO(request.file_meta() + await request.dataset.read())
    dataset = await asyncio.to_thread(pydicom.dcmread, file)
    calling = request.association.calling_ae_title
    print(calling, dataset.Modality, dataset.SOPInstanceUID, flush=True)
    return aiodicom.Status.SUCCESS


aiodicom.run(store=store, host="127.0.0.1", port=11112)
